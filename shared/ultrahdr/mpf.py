"""The Multi-Picture Format segment (CIPA DC-007), which says where the second image lies.

Offsets count from the byte after `MPF\\0`, the TIFF header, and never from the file's start: a map 28 or so
bytes off is the commonest reason why a file shows no HDR.
"""

import struct
from dataclasses import dataclass
from typing import Final

from shared.ultrahdr.errors import UltraHdrError

SIGNATURE: Final = b"MPF\0"
PRIMARY_TYPE: Final = 0x030000  # "Baseline MP Primary Image" (DC-007, table 4)
SEGMENT_SIZE: Final = 90  # bytes in all, marker included: constant, so one pass of arithmetic is enough
HEADER_OFFSET: Final = 8  # bytes from the marker's FF to the TIFF header that offsets count from
_VERSION, _NUMBER, _ENTRIES = 0xB000, 0xB001, 0xB002  # DC-007, table 3
_ENTRY: Final = "III"  # attribute, size, offset; two dependent-image numbers (16 bit) follow
_ENTRY_SIZE: Final = 16  # bytes
_MAX_TAGS: Final = 64  # an MP index IFD has three to five


@dataclass(frozen=True, slots=True)
class MpEntry:
    """One image: its attribute, size in bytes, and offset from the TIFF header (0 for the primary)."""

    attribute: int
    size: int
    offset: int

    @property
    def type_code(self) -> int:
        """What the image is: PRIMARY_TYPE, or 0 for undefined."""
        return self.attribute & 0xFFFFFF


def encode_at(position: int, primary_size: int, map_size: int) -> bytes:
    """The whole segment, marker included, for a file in which it starts at `position` and the map at `primary_size`."""
    entries = struct.pack(">IIIHH", PRIMARY_TYPE, primary_size, 0, 0, 0)
    entries += struct.pack(">IIIHH", 0, map_size, primary_size - position - HEADER_OFFSET, 0, 0)
    header = b"MM\0*" + struct.pack(">I", 8)
    ifd = struct.pack(">H", 3)
    ifd += struct.pack(">HHI4s", _VERSION, 7, 4, b"0100")
    ifd += struct.pack(">HHII", _NUMBER, 4, 1, 2)
    ifd += struct.pack(">HHII", _ENTRIES, 7, len(entries), 8 + 2 + 3 * 12 + 4)
    payload = SIGNATURE + header + ifd + struct.pack(">I", 0) + entries
    return b"\xff\xe2" + struct.pack(">H", len(payload) + 2) + payload


def decode(payload: bytes, offset: int | None = None) -> list[MpEntry]:
    """Read the entries of a segment's payload (from `MPF\\0` on), either byte order.

    Raises:
        UltraHdrError: `bad_mpf`.
    """
    tiff = payload[len(SIGNATURE) :]
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(tiff[:4])
    if not payload.startswith(SIGNATURE) or order is None:
        raise _bad("it does not begin with a TIFF header", offset)
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        tags: dict[int, tuple[int, int, int]] = {}
        for i in range(min(count, _MAX_TAGS)):
            tag, kind, number, _ = struct.unpack_from(f"{order}HHII", tiff, start + 2 + 12 * i)
            tags[tag] = (kind, number, start + 2 + 12 * i + 8)
        if _ENTRIES not in tags:
            raise _bad("it has no MP entries", offset)
        _, length, where = tags[_ENTRIES]
        (position,) = struct.unpack_from(f"{order}I", tiff, where)
        if length % _ENTRY_SIZE or length == 0 or position + length > len(tiff):
            raise _bad(f"its entries take {length} bytes at {position}, beyond the segment", offset)
        return [
            MpEntry(*struct.unpack_from(f"{order}{_ENTRY}", tiff, position + _ENTRY_SIZE * i))
            for i in range(length // _ENTRY_SIZE)
        ]
    except struct.error:
        raise _bad("it is cut off", offset) from None


def _bad(reason: str, offset: int | None) -> UltraHdrError:
    return UltraHdrError("bad_mpf", f"MPF segment: {reason}; write it anew", offset)
