"""XMP packets as trees, for what no edit of the text can do: joining, moving and cleaning without the text's help."""

from collections.abc import Callable, Iterator
from typing import Final
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape, quoteattr

from shared.ultrahdr.xmp import APDI, APPLE_GAIN_MAP, CONTAINER, HDRGM, ITEM, NOTE, RDF

META: Final = "adobe:ns:meta/"
STALE: Final = (HDRGM, CONTAINER, ITEM, APDI, APPLE_GAIN_MAP)  # they describe images that are no longer there
_XML: Final = "http://www.w3.org/XML/1998/namespace"  # its prefix is `xml` everywhere and is never declared
_NOTE: Final = f"{{{NOTE}}}HasExtendedXMP"  # names the extended packet that belongs to a standard one


def joined(roots: list[Element], *, notes: bool) -> Element:
    """One x:xmpmeta with every description of `roots`; without stale properties, and on demand without notes."""
    meta = Element(f"{{{META}}}xmpmeta")
    rdf = SubElement(meta, f"{{{RDF}}}RDF")
    for root in roots:
        for description in root.iter(f"{{{RDF}}}Description"):
            _drop(description, lambda name: space_of(name) in STALE or (name == _NOTE and not notes))
        outer = root if root.tag == f"{{{RDF}}}RDF" else root.find(f"{{{RDF}}}RDF")
        rdf.extend(list(outer) if outer is not None else [])
    return meta


def serialised(root: Element, prefixes: dict[str, str]) -> str:
    """The tree as text, every namespace declared once, at the root.

    `prefixes` maps a namespace to the prefix it is to have; others are numbered. The standard library's own
    writer keeps prefixes in a table of the whole process, by which one file would change how the next is
    written, and it recurses as deep as the packet nests.
    """
    spaces = dict.fromkeys(space for element in root.iter() for space in _spaces(element))
    table: dict[str, str] = {_XML: "xml"}
    for number, space in enumerate(spaces):
        wanted = prefixes.get(space, "")
        fits = wanted and wanted.lower()[:3] != "xml" and wanted not in table.values()
        table.setdefault(space, wanted if fits else f"ns{number}")
    declared = "".join(f" xmlns:{table[space]}={quoteattr(space)}" for space in spaces if space != _XML)
    out: list[str] = []
    stack: list[tuple[Element, Iterator[Element]]] = []
    _open(root, table, declared, out)
    stack.append((root, iter(root)))
    while stack:
        element, children = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            out.append(f"</{_name(element.tag, table)}>{escape(element.tail or '') if stack else ''}")
        else:
            _open(child, table, "", out)
            stack.append((child, iter(child)))
    return "".join(out)


def space_of(name: str) -> str:
    """The namespace of a name in ElementTree's `{namespace}local` form."""
    return name[1:].partition("}")[0] if name.startswith("{") else ""


def _open(element: Element, table: dict[str, str], declared: str, out: list[str]) -> None:
    attributes = "".join(f" {_name(key, table)}={quoteattr(value)}" for key, value in element.attrib.items())
    out.append(f"<{_name(element.tag, table)}{declared}{attributes}>{escape(element.text or '')}")


def _name(name: str, table: dict[str, str]) -> str:
    space = space_of(name)
    return f"{table[space]}:{name[len(space) + 2 :]}" if space else name


def _spaces(element: Element) -> Iterator[str]:
    for name in (element.tag, *element.attrib):
        if space := space_of(name):
            yield space


def _drop(element: Element, stale: Callable[[str], bool]) -> None:
    for key in [key for key in element.attrib if stale(key)]:
        del element.attrib[key]
    element[:] = [child for child in element if not stale(child.tag)]
