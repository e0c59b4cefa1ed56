"""A user's XMP packet without what describes images that are no longer there, the rest as it was.

The text is edited, so that the user's own bytes stay; where that is not safe, the packet is written anew from
its tree. Every step is linear in the packet's length, whatever it holds.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape, quoteattr, unescape

from shared.ultrahdr.xmp.read import (
    APDI,
    APPLE_GAIN_MAP,
    CAMERA,
    CONTAINER,
    HDRGM,
    ITEM,
    NOTE,
    RDF,
    decoded,
    tree_of,
)

META: Final = "adobe:ns:meta/"
NAME: Final = r"[A-Za-z_][\w.\-]*"
_STALE: Final = (HDRGM, CONTAINER, ITEM, APDI, APPLE_GAIN_MAP)
# These point at a video behind the photo, which does not survive.
_MOTION: Final = ("MotionPhoto", "MicroVideo")
_NOTE: Final = f"{{{NOTE}}}HasExtendedXMP"  # names the extended packet that belongs to a standard one
_XML: Final = "http://www.w3.org/XML/1998/namespace"  # its prefix is `xml` everywhere and is never declared
_MAX_PREFIXES: Final = 4  # for one namespace; each costs a pass over the text
# What is left of a description that held nothing but stale properties.
_EMPTY_DESCRIPTION: Final = re.compile(
    rf"<({NAME}:)?Description(?:\s+{NAME}:about=(?:\"\"|''))?\s*(?:/>|>\s*</(?:{NAME}:)?Description\s*>)"
)


def cleaned(packet: bytes) -> str | None:
    """The packet's text without stale HDR properties; None where it is not XML: nothing can be kept."""
    text, root = decoded(packet), tree_of(packet)
    if text is None or root is None:
        return None
    text = text.strip("\0\ufeff")
    if not packet.startswith((b"<", b"\xef\xbb\xbf")):  # UTF-16, as its declaration says; ours is UTF-8
        text = re.sub(r"^\s*<\?xml\s[^>]*>", "", text)
    if not any(_is_stale(name) for name in _names(root)):
        return text
    edited = _edited(text)
    rest = None if edited is None else tree_of(edited.encode())
    # A comment or CDATA that only looks like a property, or a namespace without a prefix: the tree knows.
    if edited is None or rest is None or any(_is_stale(name) for name in _names(rest)):
        return by_tree([text])
    return edited


def by_tree(texts: list[str], *, notes: bool = True) -> str:
    """One packet of several, without stale properties, and on demand without xmpNote:HasExtendedXMP."""
    meta = Element(f"{{{META}}}xmpmeta")
    rdf = SubElement(meta, f"{{{RDF}}}RDF")
    for root in (tree_of(text.encode()) for text in texts):
        if root is None:
            continue
        for element in list(root.iter()):
            _drop(element, lambda name: _is_stale(name) or (name == _NOTE and not notes))
        outer = root if root.tag == f"{{{RDF}}}RDF" else root.find(f"{{{RDF}}}RDF")
        rdf.extend(list(outer) if outer is not None else [])
    return _serialised(meta, _declared(texts))


def _edited(text: str) -> str | None:
    for space in _STALE:
        prefixes = _prefixes(text, space)
        if len(prefixes) > _MAX_PREFIXES:
            return None
        for prefix in prefixes:
            text = _without_names(text, rf"{prefix}:{NAME}")
            text = re.sub(rf"\sxmlns:{prefix}\s*=\s*[\"']{re.escape(space)}[\"']", "", text)
    prefixes = _prefixes(text, CAMERA)
    if len(prefixes) > _MAX_PREFIXES:
        return None
    for prefix in prefixes:
        text = _without_names(text, rf"{prefix}:(?:{'|'.join(_MOTION)})\w*")
    return _EMPTY_DESCRIPTION.sub("", text)


def _prefixes(text: str, space: str) -> list[str]:
    found = re.findall(rf"xmlns:({NAME})\s*=\s*[\"']{re.escape(space)}[\"']", text)
    return sorted({re.escape(prefix) for prefix in found})


def _without_names(text: str, name: str) -> str:
    """Drop every element and every attribute of this name (a pattern)."""
    return re.sub(rf"\s{name}\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", _without_elements(text, name))


def _without_elements(text: str, name: str) -> str:
    """Drop every element of this name (a pattern) with what is in it, in one pass over its tags."""
    tag = re.compile(rf"<(/?)(?:{name})(?=[\s/>])[^<>]*?(/?)>")
    kept, position, depth = [], 0, 0
    for match in tag.finditer(text):
        closing, empty = match.group(1) == "/", match.group(2) == "/"
        if depth == 0 and not closing:
            kept.append(text[position : match.start()])
        if closing:
            depth = max(0, depth - 1)
        elif not empty:
            depth += 1
        if depth == 0:
            position = match.end()
    return "".join(kept) + text[position:]


def _is_stale(name: str) -> bool:
    space = _space(name)
    return space in _STALE or (space == CAMERA and name[len(space) + 2 :].startswith(_MOTION))


def _names(root: Element) -> Iterator[str]:
    for element in root.iter():
        yield element.tag
        yield from element.attrib


def _space(name: str) -> str:
    """The namespace of a name in ElementTree's `{namespace}local` form."""
    return name[1:].partition("}")[0] if name.startswith("{") else ""


def _drop(element: Element, stale: Callable[[str], bool]) -> None:
    for key in [key for key in element.attrib if stale(key)]:
        del element.attrib[key]
    element[:] = [child for child in element if not stale(child.tag)]


def _declared(texts: list[str]) -> dict[str, str]:
    """Namespace to prefix, as the texts have it."""
    known = {META: "x", RDF: "rdf"}
    for text in texts:
        for prefix, space in re.findall(rf"xmlns:({NAME})\s*=\s*[\"']([^\"'<]*)[\"']", text):
            known.setdefault(unescape(space), prefix)
    return known


def _serialised(root: Element, prefixes: dict[str, str]) -> str:
    """The tree as text, every namespace declared once, at the root.

    The standard library's own writer keeps prefixes in one table for the whole process, by which one file
    would change how the next is written, and it recurses as deep as the packet nests.
    """
    spaces = [space for space in dict.fromkeys(_space(name) for name in _names(root)) if space not in ("", _XML)]
    table, used = {_XML: "xml"}, {"xml"}
    for number, space in enumerate(spaces):
        wanted = prefixes.get(space, "")
        taken = not wanted or wanted in used or re.fullmatch(r"ns\d+|[xX][mM][lL].*", wanted) is not None
        table[space] = f"ns{number}" if taken else wanted
        used.add(table[space])
    declared = "".join(f" xmlns:{table[space]}={quoteattr(space)}" for space in spaces)
    out = [_opening(root, table, declared)]
    stack = [(root, iter(root))]
    while stack:
        element, children = stack[-1]
        child = next(children, None)
        if child is not None:
            out.append(_opening(child, table, ""))
            stack.append((child, iter(child)))
            continue
        stack.pop()
        out.append(f"</{_short(element.tag, table)}>{_text(element.tail) if stack else ''}")
    return "".join(out)


def _opening(element: Element, table: dict[str, str], declared: str) -> str:
    attributes = "".join(f" {_short(key, table)}={quoteattr(value)}" for key, value in element.attrib.items())
    return f"<{_short(element.tag, table)}{declared}{attributes}>{_text(element.text)}"


def _text(text: str | None) -> str:
    return escape(text or "", {"\r": "&#13;"})


def _short(name: str, table: dict[str, str]) -> str:
    space = _space(name)
    return f"{table[space]}:{name[len(space) + 2 :]}" if space else name
