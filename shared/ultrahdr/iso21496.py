"""The ISO 21496-1 payload of JPEG's APP2 segments, both ways; all numbers are big-endian.

The primary image carries the version alone, which says "there is a gain map"; the map carries everything.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.metadata import DENOMINATOR, GainMapMetadata

NAMESPACE: Final = b"urn:iso:std:iso:ts:21496:-1\0"  # 28 bytes, first in the APP2 segment
VERSION: Final = struct.pack(">HH", 0, 0)  # minimum_version, writer_version (ISO 21496-1, annex C.2)
MULTICHANNEL: Final = 0x80  # is_multichannel
BASE_COLOR_SPACE: Final = 0x40  # use_base_colour_space
COMMON_DENOMINATOR: Final = 0x08  # of a withdrawn draft; current readers ignore the bit and misread the rest
BACKWARD: Final = 0x04  # of a withdrawn draft: the base is the HDR rendition
_HEADROOMS: Final = ">IIII"
_CHANNEL: Final = ">iIiIIIiIiI"
_CHANNEL_COMMON: Final = ">iiIii"


@dataclass(frozen=True, slots=True)
class RawPayload:
    """A payload's numbers as they stand, (numerator, denominator) each, before anything is judged.

    `channels` holds, per channel, min, max, gamma, base offset and alternate offset.
    """

    minimum_version: int
    writer_version: int
    flags: int
    headrooms: tuple[tuple[int, int], ...]
    channels: tuple[tuple[tuple[int, int], ...], ...]
    length: int


def encode(metadata: GainMapMetadata) -> bytes:
    """The gain map's payload behind the namespace: 61 bytes for one channel, 141 for three."""
    flags = BASE_COLOR_SPACE if metadata.use_base_color_space else 0
    if metadata.channels == 3:
        flags |= MULTICHANNEL
    out = [VERSION, bytes([flags])]
    out.append(_pair(metadata.base_hdr_headroom) + _pair(metadata.alternate_hdr_headroom))
    for i in range(metadata.channels):
        fields = (metadata.gain_map_min, metadata.gain_map_max, metadata.gamma)
        offsets = (metadata.base_offset, metadata.alternate_offset)
        out += [_pair(field[i]) for field in (*fields, *offsets)]
    return b"".join(out)


def decode(payload: bytes, offset: int | None = None) -> GainMapMetadata:
    """Read a gain map's payload, the withdrawn common-denominator layout included.

    Raises:
        UltraHdrError: `bad_iso`, for a payload that current readers reject; `bad_metadata`.
    """
    raw = decode_raw(payload, offset)
    if raw.minimum_version != 0:
        raise _bad(f"minimum_version is {raw.minimum_version}, readers know 0 only", offset)
    if raw.flags & BACKWARD:
        raise _bad("the backward-direction flag 0x04 is set: the base would be the HDR rendition", offset)
    numbers = [*raw.headrooms, *(number for channel in raw.channels for number in channel)]
    if any(denominator == 0 for _, denominator in numbers):
        raise _bad("a denominator is zero", offset)
    low, high, gamma, base, alternate = (tuple(Fraction(*channel[i]) for channel in raw.channels) for i in range(5))
    headrooms = [Fraction(*pair) for pair in raw.headrooms]
    base_space = bool(raw.flags & BASE_COLOR_SPACE)
    return GainMapMetadata(low, high, gamma, base, alternate, headrooms[0], headrooms[1], base_space)


def decode_raw(payload: bytes, offset: int | None = None) -> RawPayload:
    """Take a payload apart without judging its values.

    Raises:
        UltraHdrError: `bad_iso`, if it is too short for what its flags announce.
    """
    if len(payload) < 5:
        raise _bad(f"the payload has {len(payload)} bytes, too few for a gain map", offset)
    minimum, writer, flags = struct.unpack_from(">HHB", payload)
    count = 3 if flags & MULTICHANNEL else 1
    try:
        if flags & COMMON_DENOMINATOR:
            headrooms, channels, length = _common(payload, count)
        else:
            base, base_d, alternate, alternate_d = struct.unpack_from(_HEADROOMS, payload, 5)
            headrooms = ((base, base_d), (alternate, alternate_d))
            size = struct.calcsize(_CHANNEL)
            flat = [struct.unpack_from(_CHANNEL, payload, 21 + size * i) for i in range(count)]
            channels = tuple(tuple(zip(c[::2], c[1::2], strict=True)) for c in flat)
            length = 21 + size * count
    except struct.error:
        raise _bad(f"the payload has {len(payload)} bytes, too few for {count} channel(s)", offset) from None
    return RawPayload(minimum, writer, flags, headrooms, channels, length)


def _common(
    payload: bytes, count: int
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[tuple[int, int], ...], ...], int]:
    """The withdrawn draft's layout: one denominator, then the numerators."""
    denominator, base, alternate = struct.unpack_from(">III", payload, 5)
    size = struct.calcsize(_CHANNEL_COMMON)
    flat = [struct.unpack_from(_CHANNEL_COMMON, payload, 17 + size * i) for i in range(count)]
    channels = tuple(tuple((number, denominator) for number in c) for c in flat)
    return ((base, denominator), (alternate, denominator)), channels, 17 + size * count


def _pair(value: Fraction) -> bytes:
    numerator = round(value * DENOMINATOR)
    return struct.pack(">iI" if numerator < 0 else ">II", numerator, DENOMINATOR)


def _bad(reason: str, offset: int | None) -> UltraHdrError:
    return UltraHdrError("bad_iso", f"ISO 21496-1 metadata: {reason}; write the payload anew", offset)
