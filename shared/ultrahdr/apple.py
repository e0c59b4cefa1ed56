"""Apple's private gain map: headroom in the primary's MakerNote, or in the map's own XMP.

Applies to files of iOS 17 and earlier, which carry neither ISO 21496-1 nor hdrgm.
"""

import math
import struct
from dataclasses import dataclass
from typing import Final

from shared.ultrahdr.segments import EXIF

MAX_ENTRIES: Final = 512  # tags read from one directory
_EXIF_IFD, _MAKER_NOTE = 0x8769, 0x927C  # Exif 2.32, table 4
_APPLE: Final = b"Apple iOS\0"
_APPLE_HEADER: Final = 14  # bytes: name, version, byte order; a directory follows
_HDR_HEADROOM, _HDR_GAIN = 0x21, 0x30  # signed rationals
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}  # bytes by TIFF type


@dataclass(frozen=True, slots=True)
class _Directory:
    """A TIFF structure to read tags from; `base` is what its offsets count from."""

    data: bytes
    base: int
    order: str

    def tags(self, position: int) -> dict[int, bytes]:
        """Every tag of the directory at `position` (absolute), with its value's bytes."""
        found: dict[int, bytes] = {}
        (count,) = struct.unpack_from(f"{self.order}H", self.data, position)
        for i in range(min(count, MAX_ENTRIES)):
            where = position + 2 + 12 * i
            tag, kind, number = struct.unpack_from(f"{self.order}HHI", self.data, where)
            size = _SIZES.get(kind, 0) * number
            if size > 4:
                (offset,) = struct.unpack_from(f"{self.order}I", self.data, where + 8)
                start = self.base + offset
            else:
                start = where + 8
            value = self.data[start : start + size]
            if size and len(value) == size:
                found[tag] = value
        return found


def maker_headroom(exif: bytes) -> float | None:
    """Headroom in stops from an Exif segment's payload; None where there is no such MakerNote."""
    try:
        return _maker_headroom(exif)
    except struct.error:
        return None


def _maker_headroom(exif: bytes) -> float | None:
    tiff = exif[len(EXIF) :]
    order = {b"MM": ">", b"II": "<"}.get(tiff[:2])
    if not exif.startswith(EXIF) or order is None:
        return None
    outer = _Directory(tiff, 0, order)
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    pointer = outer.tags(first).get(_EXIF_IFD)
    if pointer is None or len(pointer) != 4:
        return None
    note = outer.tags(struct.unpack(f"{order}I", pointer)[0]).get(_MAKER_NOTE, b"")
    if not note.startswith(_APPLE):
        return None
    inner = _Directory(note, 0, "<" if note[12:14] == b"II" else ">")
    tags = inner.tags(_APPLE_HEADER)
    headroom, gain = (_rational(tags.get(tag), inner.order) for tag in (_HDR_HEADROOM, _HDR_GAIN))
    return None if headroom is None or gain is None else stops_of(headroom, gain)


def stops_of(maker33: float, maker48: float) -> float:
    """MakerNote 0x21 and 0x30 -> headroom in stops, never below 0 (Apple's published formula)."""
    if maker33 < 1:
        stops = -20 * maker48 + 1.8 if maker48 <= 0.01 else -0.101 * maker48 + 1.601
    else:
        stops = -70 * maker48 + 3.0 if maker48 <= 0.01 else -0.303 * maker48 + 2.303
    return max(stops, 0.0)


def xmp_headroom(text: str | None) -> float | None:
    """`HDRGainMap:HDRGainMapHeadroom`, a linear factor, in stops."""
    try:
        factor = float(text) if text is not None else 0.0
    except ValueError:
        return None
    return math.log2(factor) if math.isfinite(factor) and factor >= 1 else None


def _rational(value: bytes | None, order: str) -> float | None:
    if value is None or len(value) != 8:
        return None
    numerator, denominator = struct.unpack(f"{order}ii", value)
    return float(numerator / denominator) if denominator else None
