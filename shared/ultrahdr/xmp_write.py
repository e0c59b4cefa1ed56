"""XMP packets, written: ours as one rdf:Description inside the user's packet, whose own bytes stay.

A reader such as Skia looks at the first standard packet alone, so a packet of ours behind the user's would
never be seen; and the user's would be lost if ours came instead.
"""

import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from shared.ultrahdr.metadata import DENOMINATOR, GainMapMetadata
from shared.ultrahdr.segments import APP1, XMP, XMP_EXTENSION, build
from shared.ultrahdr.xmp import (
    APDI,
    APPLE_GAIN_MAP,
    CAMERA,
    CONTAINER,
    HDRGM,
    ITEM,
    MAX_PACKET,
    NOTE,
    RDF,
    VERSION,
    decoded,
    tree_of,
)

_META: Final = META
_EXTENSION_CHUNK: Final = 65_400  # bytes of an extended packet in one segment (XMP part 3, 1.1.3.1)
_STALE: Final = (HDRGM, CONTAINER, ITEM, APDI, APPLE_GAIN_MAP)
# These point at a video behind the photo, which does not survive.
_MOTION: Final = ("MotionPhoto", "MicroVideo")
_NAME: Final = r"[A-Za-z_][\w.\-]*"
# What is left of a description that held nothing but stale properties.
_EMPTY_DESCRIPTION: Final = re.compile(
    rf"<({_NAME}:)?Description(?:\s+{_NAME}:about=(?:\"\"|''))?\s*(?:/>|>\s*</(?:{_NAME}:)?Description\s*>)"
)


@dataclass(frozen=True, slots=True)
class Packets:
    """What goes into a file: the standard packet, and new extended segments; None keeps the input's own."""

    standard: bytes
    extension: tuple[bytes, ...] | None


def gain_map_packet(metadata: GainMapMetadata) -> bytes:
    """The gain map's packet: attributes, log2, six decimals; rdf:Seq only where channels differ."""
    fields: list[tuple[str, tuple[Fraction, ...]]] = [
        ("GainMapMin", metadata.gain_map_min),
        ("GainMapMax", metadata.gain_map_max),
        ("Gamma", metadata.gamma),
        ("OffsetSDR", metadata.base_offset),
        ("OffsetHDR", metadata.alternate_offset),
        ("HDRCapacityMin", (metadata.base_hdr_headroom,)),
        ("HDRCapacityMax", (metadata.alternate_hdr_headroom,)),
    ]
    attributes = [f'hdrgm:Version="{VERSION}"']
    elements = []
    for name, values in fields:
        if len(set(values)) == 1:
            attributes.append(f'hdrgm:{name}="{decimal(values[0])}"')
        else:
            listed = "".join(f"<rdf:li>{decimal(value)}</rdf:li>" for value in values)
            elements.append(f"<hdrgm:{name}><rdf:Seq>{listed}</rdf:Seq></hdrgm:{name}>")
    attributes.append('hdrgm:BaseRenditionIsHDR="False"')
    description = f'<rdf:Description rdf:about="" xmlns:hdrgm="{HDRGM}" {" ".join(attributes)}'
    description += f">{''.join(elements)}</rdf:Description>" if elements else "/>"
    return _wrapped(description).encode()


def primary_packets(user: list[bytes], extension: bytes | None, map_size: int) -> Packets:
    """The primary's packets: what the user had, without stale HDR properties, plus ours.

    Args:
        user: the user's standard packets; one is usual. What further ones say is joined to the first, for
            readers look at one alone.
        extension: the user's extended packet, put together, None where there is none.
        map_size: bytes of the finished gain-map JPEG.

    Properties of a packet that would grow beyond MAX_PACKET move to the extended one.
    """
    ours = _directory(map_size)
    texts = [text for text in map(_cleaned, user) if text is not None]
    if not texts:
        return Packets(_wrapped(ours).encode(), None)
    text = texts[0] if len(texts) == 1 else _joined(texts)
    merged = _merged(text, ours)
    for fitting in (merged, _without_padding(merged)):
        encoded = fitting.encode()
        if len(encoded) <= MAX_PACKET:
            return Packets(encoded, None)
    return _spilled(text, extension, ours)


def decimal(value: Fraction) -> str:
    """Six decimals, which is exactly what the ISO payload's denominator says."""
    numerator = round(value * DENOMINATOR)
    whole, part = divmod(abs(numerator), DENOMINATOR)
    return f"{'-' if numerator < 0 else ''}{whole}.{part:06d}"


def _directory(map_size: int) -> str:
    items = (
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" '
        f'Item:Length="{map_size}"/></rdf:li>'
    )
    return (
        f'<rdf:Description rdf:about="" xmlns:hdrgm="{HDRGM}" xmlns:Container="{CONTAINER}" xmlns:Item="{ITEM}" '
        f'hdrgm:Version="{VERSION}"><Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>'
        "</rdf:Description>"
    )


def _wrapped(descriptions: str) -> str:
    return f'<x:xmpmeta xmlns:x="{_META}"><rdf:RDF xmlns:rdf="{RDF}">{descriptions}</rdf:RDF></x:xmpmeta>'


def _merged(text: str, ours: str) -> str:
    """Put our description before the last </rdf:RDF>, whatever the user's prefix for RDF is."""
    closing = list(re.finditer(rf"</(?:{_NAME}:)?RDF\s*>", text))
    if not closing:  # <rdf:RDF .../>, which says nothing
        return _wrapped(ours)
    if "rdf:" not in closing[-1].group():
        ours = ours.replace("<rdf:Description", f'<rdf:Description xmlns:rdf="{RDF}"', 1)
    position = closing[-1].start()
    merged = text[:position] + ours + text[position:]
    if "xmpmeta" in merged:
        return merged
    # Skia wants x:xmpmeta around rdf:RDF.
    opening = re.search(rf"<(?:{_NAME}:)?RDF[\s>]", merged)
    end = closing[-1].end() + len(ours)
    start = opening.start() if opening else 0
    return f'{merged[:start]}<x:xmpmeta xmlns:x="{_META}">{merged[start:end]}</x:xmpmeta>{merged[end:]}'


def _cleaned(packet: bytes) -> str | None:
    """The packet's text without stale HDR properties; None where it is not XML, so that nothing can be kept."""
    text = decoded(packet)
    if text is None or tree_of(packet) is None:
        return None
    text = text.strip("\0\ufeff")
    original = text
    for space in _STALE:
        text = _without_space(text, space)
    for prefix in _prefixes(text, CAMERA):
        names = "|".join(_MOTION)
        text = re.sub(rf"\s{re.escape(prefix)}:(?:{names})\w*\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", text)
        text = _without_elements(text, rf"{re.escape(prefix)}:(?:{names})\w*")
    if text != original:
        text = _EMPTY_DESCRIPTION.sub("", text)
    # What a textual edit broke (a comment or CDATA that only looked like a property) goes by the tree.
    return text if tree_of(text.encode()) is not None else _by_tree(original)


def _prefixes(text: str, space: str) -> list[str]:
    return sorted(set(re.findall(rf"xmlns:({_NAME})\s*=\s*[\"']{re.escape(space)}[\"']", text)))


def _without_space(text: str, space: str) -> str:
    for prefix in _prefixes(text, space):
        name = re.escape(prefix)
        text = _without_elements(text, rf"{name}:{_NAME}")
        text = re.sub(rf"\s{name}:{_NAME}\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", text)
        text = re.sub(rf"\sxmlns:{name}\s*=\s*[\"']{re.escape(space)}[\"']", "", text)
    return text


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


def _without_padding(text: str) -> str:
    """Drop the white space that XMP leaves before the packet's end for editing in place."""
    return re.sub(r"\s+(<\?xpacket end)", r"\1", text)


def _spilled(text: str, extension: bytes | None, ours: str) -> Packets:
    """Move the user's properties to the extended packet; ours stay where readers look."""
    kept = [tree_of(text.encode())]
    if extension is not None:
        kept.append(tree_of(extension))
    rdf = _rdf([root for root in kept if root is not None], [text, decoded(extension or b"") or ""], notes=False)
    extended = ElementTree.tostring(rdf, encoding="utf-8", xml_declaration=False)
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper()
    note = f'<rdf:Description rdf:about="" xmlns:xmpNote="{NOTE}" xmpNote:HasExtendedXMP="{guid}"/>'
    return Packets(_wrapped(note + ours).encode(), _chunks(extended))


def _by_tree(texts: list[str]) -> str:
    """One packet of several, without stale properties, written anew from their trees."""
    roots = [tree_of(text.encode()) for text in texts]
    return serialised(joined([root for root in roots if root is not None], notes=True), _declared(texts))


def _declared(texts: list[str]) -> dict[str, str]:
    """Namespace to prefix, as the texts have it."""
    known = {_META: "x", RDF: "rdf"}
    for text in texts:
        for prefix, space in re.findall(rf"xmlns:({_NAME})\s*=\s*[\"']([^\"']*)[\"']", text):
            known.setdefault(unescape(space), prefix)
    return known


def _chunks(extended: bytes) -> tuple[bytes, ...]:
    """The segments of an extended packet: GUID, its whole length, and each part's place in it."""
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()
    return tuple(
        build(
            APP1,
            XMP_EXTENSION + guid + struct.pack(">II", len(extended), i) + extended[i : i + _EXTENSION_CHUNK],
        )
        for i in range(0, len(extended), _EXTENSION_CHUNK)
    )


def standard_segment(packet: bytes) -> bytes:
    """A standard packet as a whole segment."""
    return build(APP1, XMP + packet)
