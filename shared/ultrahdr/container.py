"""Write an Ultra HDR JPEG: base first, gain map behind it, both standards from one metadata value.

    FFD8
    JFIF, Exif                 the input's, in its own order
    XMP                        the user's packet with one more rdf:Description (hdrgm:Version, GContainer)
    XMP extension              the input's
    MPF                        where the second image lies
    ISO 21496-1 version        "there is a gain map"
    ICC, APP13, APP14, COM ... the input's other segments in order
    SOS ... EOI                the input's bytes
    FFD8                       the gain map, without padding
    JFIF, hdrgm XMP, ISO 21496-1, DQT ... EOI

Order of work: the map is finished first, its length goes into the XMP, and the sizes of both into the MPF.
"""

import struct
from typing import Final

from shared.ultrahdr import iso21496, mpf
from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.metadata import GainMapMetadata
from shared.ultrahdr.segments import (
    APP0,
    APP1,
    APP2,
    COM,
    EXIF,
    JFIF,
    START,
    XMP,
    XMP_EXTENSION,
    Jpeg,
    Segment,
    build,
    walk,
)
from shared.ultrahdr.xmp.read import decoded
from shared.ultrahdr.xmp.write import gain_map_packet, primary_packets, standard_segment

_JFIF_FIXED: Final = 14  # bytes of JFIF's payload before its thumbnail
_JFIF_PLAIN: Final = JFIF + bytes.fromhex("010100000100010000")  # 1.01, aspect ratio 1:1, no thumbnail
_XMP_HEADER: Final = len(XMP_EXTENSION) + 40  # bytes: name, GUID, whole length, this part's offset


def assemble(base_jpeg: bytes, gain_map_jpeg: bytes, metadata: GainMapMetadata) -> bytes:
    """Put base, gain map and metadata into one file.

    Args:
        base_jpeg: the SDR rendition. Its scan bytes, Exif, ICC profile, APP13, APP14, COM and XMP are kept;
            HDR metadata of an earlier life (MPF, ISO 21496-1, hdrgm, GContainer, Apple's) and all bytes
            behind its EOI are dropped. Several XMP packets become one; one that is not XML is dropped.
        gain_map_jpeg: the map, one or three components; its own Exif, XMP and ICC profile are dropped.
        metadata: how the map is to be applied.

    Returns:
        The finished file; the same bytes for the same input.

    Raises:
        UltraHdrError: an image is no JPEG, is cut off or is CMYK, or a segment does not fit.
    """
    base = _checked(base_jpeg, "base", (1, 3))
    gain_map = _gain_map(gain_map_jpeg, metadata)
    head, tail = _head(base, len(gain_map))
    scan = base_jpeg[base.scan : base.end]
    version = build(APP2, iso21496.NAMESPACE + iso21496.VERSION)
    position = len(head)
    size = position + mpf.SEGMENT_SIZE + len(version) + len(tail) + len(scan)
    directory = mpf.encode_at(position, size, len(gain_map))
    return b"".join((head, directory, version, tail, scan, gain_map))


def _checked(data: bytes, name: str, components: tuple[int, ...]) -> Jpeg:
    image = walk(data)
    if image.frame is None or image.scan is None or image.end is None:
        raise UltraHdrError("truncated", f"the {name} JPEG is cut off before its end; export it again", len(data))
    if image.frame.components not in components:
        kind = "CMYK" if image.frame.components == 4 else f"an image of {image.frame.components} components"
        raise UltraHdrError(
            "bad_components", f"the {name} JPEG is {kind}; readers want grey or YCbCr. Convert it first"
        )
    return image


def _gain_map(data: bytes, metadata: GainMapMetadata) -> bytes:
    image = _checked(data, "gain-map", (1, 3))
    jfif = image.first(APP0, JFIF)
    kept = [s for s in image.segments if not (APP0 <= s.marker <= APP2 or s.marker == COM)]
    return b"".join(
        (
            START,
            build(APP0, jfif.payload if jfif is not None else _JFIF_PLAIN),
            standard_segment(gain_map_packet(metadata)),
            build(APP2, iso21496.NAMESPACE + iso21496.encode(metadata)),
            *(build(segment.marker, segment.payload) for segment in kept),
            data[image.scan : image.end],
        )
    )


def _head(base: Jpeg, map_size: int) -> tuple[bytes, bytes]:
    """The base's segments before and after the place of MPF and ISO version."""
    first: list[bytes] = [START]
    rest: list[bytes] = []
    extension: list[bytes] = []
    packets: list[bytes] = []
    for segment in base.segments:
        if _stale(segment):
            continue
        if segment.holds(APP1, XMP):
            packets.append(segment.payload[len(XMP) :])
        elif segment.holds(APP1, XMP_EXTENSION):
            extension.append(_whole(segment))
        elif segment.holds(APP0, JFIF):
            first.append(build(APP0, _without_ampf(segment.payload)))
        elif segment.holds(APP1, EXIF):
            first.append(_whole(segment))
        else:
            rest.append(_whole(segment))
    written = primary_packets(packets, _extended(base), map_size)
    own = [standard_segment(written.standard)]
    return b"".join((*first, *own, *(extension if written.extension is None else written.extension))), b"".join(rest)


def _whole(segment: Segment) -> bytes:
    if segment.end - segment.start == 2:
        return bytes((0xFF, segment.marker))
    return build(segment.marker, segment.payload)


def _stale(segment: Segment) -> bool:
    """Whether a segment speaks of images that will no longer be there."""
    return segment.holds(APP2, mpf.SIGNATURE) or segment.holds(APP2, iso21496.NAMESPACE)


def _without_ampf(payload: bytes) -> bytes:
    """JFIF's own bytes: some cameras append `AMPF`, which announces the dropped MPF."""
    if len(payload) < _JFIF_FIXED:
        return payload
    return payload[: _JFIF_FIXED + 3 * payload[12] * payload[13]]


def _extended(base: Jpeg) -> bytes | None:
    """The user's extended packet put together, None where there is none or it has gaps."""
    parts: dict[int, bytes] = {}
    total = 0
    for segment in base.all_of(APP1, XMP_EXTENSION):
        if len(segment.payload) < _XMP_HEADER:
            return None
        total, offset = struct.unpack_from(">II", segment.payload, _XMP_HEADER - 8)
        parts[offset] = segment.payload[_XMP_HEADER:]
    joined = b"".join(parts[offset] for offset in sorted(parts))
    return joined if joined and len(joined) == total and decoded(joined) is not None else None
