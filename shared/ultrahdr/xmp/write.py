"""XMP packets, written: ours as one rdf:Description inside the user's packet, whose own bytes stay.

A reader such as Skia looks at the first standard packet alone, so a packet of ours behind the user's would
never be seen; and the user's would be lost if ours came instead.
"""

import hashlib
import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from shared.ultrahdr.metadata import DENOMINATOR, GainMapMetadata
from shared.ultrahdr.segments import APP1, XMP, XMP_EXTENSION, build
from shared.ultrahdr.xmp.clean import META, NAME, by_tree, cleaned
from shared.ultrahdr.xmp.read import (
    CONTAINER,
    HDRGM,
    ITEM,
    MAX_PACKET,
    NOTE,
    RDF,
    VERSION,
    decoded,
    read,
    tree_of,
)

_EXTENSION_CHUNK: Final = 65_400  # bytes of an extended packet in one segment (XMP part 3, 1.1.3.1)
_NOTED: Final = re.compile(r"(HasExtendedXMP\s*(?:=\s*[\"']|>\s*))[0-9A-Fa-f]{32}")


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
    texts = [text for text in map(cleaned, user) if text is not None]
    if not texts:
        return Packets(_wrapped(ours).encode(), None)
    text = texts[0] if len(texts) == 1 else by_tree(texts)
    kept = None if extension is None else cleaned(extension)
    chunks = None
    if extension is not None and kept is not None and kept != (decoded(extension) or "").strip("\0\ufeff"):
        chunks, guid = _chunks(kept.encode())
        text = _NOTED.sub(lambda found: found.group(1) + guid, text)
    merged = _merged(text, ours)
    for fitting in (merged, _without_padding(merged)):
        encoded = fitting.encode()
        if len(encoded) <= MAX_PACKET:
            return Packets(encoded, chunks)
    return _spilled(text, kept, ours)


def decimal(value: Fraction) -> str:
    """Six decimals, which is exactly what the ISO payload's denominator says."""
    numerator = round(value * DENOMINATOR)
    whole, part = divmod(abs(numerator), DENOMINATOR)
    return f"{'-' if numerator < 0 else ''}{whole}.{part:06d}"


def _directory(map_size: int) -> str:
    items = (
        '<rdf:li rdf:parseType="Resource">'
        '<Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" '
        f'Item:Length="{map_size}"/></rdf:li>'
    )
    return (
        f'<rdf:Description rdf:about="" xmlns:hdrgm="{HDRGM}" xmlns:Container="{CONTAINER}" '
        f'xmlns:Item="{ITEM}" hdrgm:Version="{VERSION}">'
        f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory></rdf:Description>"
    )


def _wrapped(descriptions: str) -> str:
    return f'<x:xmpmeta xmlns:x="{META}"><rdf:RDF xmlns:rdf="{RDF}">{descriptions}</rdf:RDF></x:xmpmeta>'


def _merged(text: str, ours: str) -> str:
    """Put our description before the last </rdf:RDF>, whatever the user's prefix for RDF is."""
    merged = _inserted(text, ours)
    root = tree_of(merged.encode())
    # Skia wants x:xmpmeta around rdf:RDF; and what looks like the end of one may stand in a comment.
    if root is not None and root.tag == f"{{{META}}}xmpmeta" and read(merged.encode()).has_directory:
        return merged
    return _inserted(by_tree([text]), ours)


def _inserted(text: str, ours: str) -> str:
    closing = list(re.finditer(rf"</(?:{NAME}:)?RDF\s*>", text))
    if not closing:  # <rdf:RDF .../>, which says nothing
        return _wrapped(ours)
    if "rdf:" not in closing[-1].group():
        ours = ours.replace("<rdf:Description", f'<rdf:Description xmlns:rdf="{RDF}"', 1)
    position = closing[-1].start()
    merged = text[:position] + ours + text[position:]
    if "xmpmeta" in merged:
        return merged
    opening = re.search(rf"<(?:{NAME}:)?RDF[\s>]", merged)
    end = closing[-1].end() + len(ours)
    start = opening.start() if opening else 0
    return f'{merged[:start]}<x:xmpmeta xmlns:x="{META}">{merged[start:end]}</x:xmpmeta>{merged[end:]}'


def _without_padding(text: str) -> str:
    """Drop the white space that XMP leaves before the packet's end for editing in place."""
    head, mark, end = text.rpartition("<?xpacket end")
    return head.rstrip() + mark + end if mark else text


def _spilled(text: str, extension: str | None, ours: str) -> Packets:
    """Move the user's properties to the extended packet; ours stay where readers look."""
    texts = [text] if extension is None else [text, extension]
    chunks, guid = _chunks(by_tree(texts, notes=False).encode())
    note = f'<rdf:Description rdf:about="" xmlns:xmpNote="{NOTE}" xmpNote:HasExtendedXMP="{guid}"/>'
    return Packets(_wrapped(note + ours).encode(), chunks)


def _chunks(extended: bytes) -> tuple[tuple[bytes, ...], str]:
    """The segments of an extended packet (GUID, its whole length, each part's place in it), and the GUID."""
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper()
    return tuple(
        build(
            APP1,
            XMP_EXTENSION + guid.encode() + struct.pack(">II", len(extended), i) + extended[i : i + _EXTENSION_CHUNK],
        )
        for i in range(0, len(extended), _EXTENSION_CHUNK)
    ), guid


def standard_segment(packet: bytes) -> bytes:
    """A standard packet as a whole segment."""
    return build(APP1, XMP + packet)
