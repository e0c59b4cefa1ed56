"""JPEG's marker segments (ITU-T T.81, annex B), walked in linear time and never searched for byte by byte.

A search for FFD8 or FFD9 finds Exif thumbnails; only a walk over the segments and the entropy-coded data,
with its stuffed zeros, restart markers and fill bytes, finds where an image ends.
"""

import re
import struct
from dataclasses import dataclass
from typing import Final

from shared.ultrahdr.errors import UltraHdrError

SOI, EOI, SOS, DNL, COM, TEM = 0xD8, 0xD9, 0xDA, 0xDC, 0xFE, 0x01
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
START: Final = b"\xff\xd8"
MAX_PAYLOAD: Final = 65_533  # bytes: the 16-bit length counts itself
_SOF: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # frame headers; C4, C8, CC are others
_STANDALONE: Final = frozenset({TEM, *range(0xD0, 0xD8)})  # markers without a length (B.1.1.3)
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# A marker inside entropy-coded data: not a stuffed zero, not RSTn, not a fill byte.
_NEXT_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

EXIF: Final = b"Exif\0\0"
XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
XMP_EXTENSION: Final = b"http://ns.adobe.com/xmp/extension/\0"
ICC: Final = b"ICC_PROFILE\0"
JFIF: Final = b"JFIF\0"


@dataclass(frozen=True, slots=True)
class Segment:
    """One marker segment: `start` is the offset of its FF, `end` the one behind its last byte."""

    marker: int
    start: int
    end: int
    payload: bytes

    def holds(self, marker: int, identifier: bytes) -> bool:
        """Whether it is an application segment of this kind."""
        return self.marker == marker and self.payload.startswith(identifier)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the frame header says, in pixels."""

    width: int
    height: int
    components: int
    precision: int
    progressive: bool


@dataclass(frozen=True, slots=True)
class Jpeg:
    """One image's layout within the bytes it was found in.

    `segments` are those before the first scan; `scan` is the offset of the first SOS marker; `end` the offset
    behind EOI, or None where the data stop before it.
    """

    start: int
    segments: tuple[Segment, ...]
    frame: Frame | None
    scan: int | None
    end: int | None

    def all_of(self, marker: int, identifier: bytes) -> list[Segment]:
        """Every application segment of this kind, in order."""
        return [segment for segment in self.segments if segment.holds(marker, identifier)]

    def first(self, marker: int, identifier: bytes) -> Segment | None:
        """The first application segment of this kind."""
        return next(iter(self.all_of(marker, identifier)), None)


def walk(data: bytes, start: int = 0) -> Jpeg:
    """Lay out the JPEG that begins at `start`.

    Raises:
        UltraHdrError: `not_a_jpeg`, if there is no SOI; `bad_segment`, if a header segment is malformed.
    """
    if data[start : start + 2] != START:
        raise UltraHdrError("not_a_jpeg", f"no JPEG begins at byte {start}; give a JPEG file", start)
    segments: list[Segment] = []
    frame: Frame | None = None
    position = start + 2
    while True:
        segment = _segment_at(data, position)
        if segment is None or segment.marker == EOI:
            return Jpeg(start, tuple(segments), frame, None, None if segment is None else segment.end)
        if segment.marker == SOS:
            return Jpeg(start, tuple(segments), frame, segment.start, _end_of_scans(data, segment.end))
        if segment.marker == SOI:
            raise UltraHdrError(
                "bad_segment",
                f"a second image begins at byte {segment.start}, inside the first",
                segment.start,
            )
        if segment.marker in _SOF and frame is None:
            frame = _frame(segment)
        segments.append(segment)
        position = segment.end


def build(marker: int, payload: bytes) -> bytes:
    """One whole segment.

    Raises:
        UltraHdrError: `segment_too_large`.
    """
    if len(payload) > MAX_PAYLOAD:
        raise UltraHdrError(
            "segment_too_large",
            f"segment FF{marker:02X} would hold {len(payload)} bytes, more than {MAX_PAYLOAD}",
        )
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _segment_at(data: bytes, position: int) -> Segment | None:
    """The segment whose marker begins at `position`; None where the data end before it does."""
    if position + 2 > len(data):
        return None
    if data[position] != 0xFF:
        raise UltraHdrError("bad_segment", f"no marker at byte {position}, where one must be", position)
    # "Any marker may optionally be preceded by any number of fill bytes" X'FF' (B.1.1.2).
    fill = position
    while fill < len(data) and data[fill] == 0xFF:
        fill += 1
    if fill >= len(data):
        return None
    marker, start = data[fill], fill - 1
    if marker in (SOI, EOI) or marker in _STANDALONE:
        return Segment(marker, start, fill + 1, b"")
    if marker == 0:
        raise UltraHdrError("bad_segment", f"no marker at byte {start}, where one must be", start)
    if fill + 3 > len(data):
        return None
    (length,) = struct.unpack_from(">H", data, fill + 1)
    if length < 2:
        raise UltraHdrError("bad_segment", f"segment FF{marker:02X} at byte {start} has length {length}", start)
    end = fill + 1 + length
    if end > len(data):
        return None
    return Segment(marker, start, end, data[fill + 3 : end])


def _end_of_scans(data: bytes, position: int) -> int | None:
    """The offset behind EOI, from inside the first scan; None where the image is cut off."""
    while (found := _NEXT_MARKER.search(data, position)) is not None:
        marker = data[found.start() + 1]
        if marker == EOI:
            return found.end()
        if marker == SOI:
            return None  # another image before this one ended
        if marker == TEM:
            position = found.end()
            continue
        # DHT, DQT, DNL, SOS ... between the scans of a progressive image.
        segment = _segment_at(data, found.start())
        if segment is None:
            return None
        position = segment.end
    return None


def _frame(segment: Segment) -> Frame:
    if len(segment.payload) < 6:
        raise UltraHdrError("bad_segment", f"the frame header at byte {segment.start} is cut off", segment.start)
    precision, height, width, components = struct.unpack_from(">BHHB", segment.payload)
    return Frame(width, height, components, precision, segment.marker in _PROGRESSIVE)
