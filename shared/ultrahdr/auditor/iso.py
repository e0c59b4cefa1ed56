"""Rules on ISO 21496-1's two segments."""

from collections.abc import Iterator
from typing import Final

from shared.ultrahdr import iso21496
from shared.ultrahdr.auditor.findings import ANDROID, APPLE, CHROMIUM, Finding, error, note, warning
from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.reader import Image

_RESERVED: Final = 0xFF & ~(
    iso21496.MULTICHANNEL | iso21496.BASE_COLOR_SPACE | iso21496.COMMON_DENOMINATOR | iso21496.BACKWARD
)


def iso(primary: Image, gain_map: Image) -> Iterator[Finding]:
    """Every rule of this module."""
    payload = gain_map.iso_payload
    full = payload is not None and len(payload) > len(iso21496.VERSION)
    if primary.iso is not None and not full:
        yield error(
            "iso_missing_in_map",
            (APPLE,),
            primary.iso.start,
            "the primary announces ISO 21496-1, but the gain map has no such payload",
            "write the ISO 21496-1 payload into the gain map's APP2",
        )
    if full and primary.iso is None:
        yield error(
            "iso_missing_in_primary",
            (CHROMIUM, APPLE),
            None,
            "the gain map has an ISO 21496-1 payload, but the primary does not announce it",
            "write the 4-byte ISO 21496-1 version segment into the primary",
        )
    if primary.iso is not None and (primary.iso_payload or b"")[:2] not in (b"", b"\0\0"):
        yield error(
            "iso_minimum_version",
            (CHROMIUM, APPLE),
            primary.iso.start,
            "minimum_version of the primary's ISO 21496-1 segment is not 0",
            "write 0; readers know no other",
        )
    if full and gain_map.iso is not None and payload is not None:
        yield from _payload(payload, gain_map.iso.start)


def _payload(payload: bytes, where: int) -> Iterator[Finding]:
    try:
        raw = iso21496.decode_raw(payload)
    except UltraHdrError as fault:
        yield error(
            "iso_too_short",
            (ANDROID, APPLE, CHROMIUM),
            where,
            str(fault),
            "write 61 bytes, or 141 for 3 channels",
        )
        return
    if raw.minimum_version != 0:
        yield error(
            "iso_minimum_version",
            (ANDROID, APPLE, CHROMIUM),
            where,
            f"minimum_version of the gain map's ISO 21496-1 payload is {raw.minimum_version}",
            "write 0; readers know no other",
        )
    if raw.writer_version != 0:
        yield note("iso_writer_version", where, f"writer_version is {raw.writer_version}; every reader accepts it")
    yield from _flags(raw.flags, where)
    numbers = [*raw.headrooms, *(number for channel in raw.channels for number in channel)]
    if any(denominator == 0 for _, denominator in numbers):
        yield error(
            "iso_zero_denominator",
            (ANDROID, CHROMIUM, APPLE),
            where,
            "a denominator is zero: libultrahdr refuses the file, Chromium computes NaN and stays dark",
            "write a denominator that is not zero, 1000000 for example",
        )
    elif raw.minimum_version == 0 and not raw.flags & iso21496.BACKWARD:
        yield from _values(payload, where)


def _flags(flags: int, where: int) -> Iterator[Finding]:
    if flags & iso21496.COMMON_DENOMINATOR:
        yield error(
            "iso_common_denominator",
            (CHROMIUM, APPLE),
            where,
            "flag 0x08 of a withdrawn draft is set: readers of the standard misread all that follows",
            "clear the bit and write each number with its own denominator",
        )
    if flags & iso21496.BACKWARD:
        yield error(
            "iso_backward",
            (ANDROID,),
            where,
            "flag 0x04 of a withdrawn draft is set; libultrahdr refuses the file",
            "clear it",
        )
    if flags & _RESERVED:
        yield warning(
            "iso_reserved_flag",
            (),
            where,
            f"reserved flag bits are set: 0x{flags & _RESERVED:02X}",
            "clear them",
        )


def _values(payload: bytes, where: int) -> Iterator[Finding]:
    try:
        iso21496.decode(payload)
    except UltraHdrError as fault:
        yield error(
            "iso_values",
            (ANDROID, CHROMIUM, APPLE),
            where,
            f"the ISO 21496-1 payload is refused: {fault}",
            "correct the values",
        )
