"""Camera data from one JPEG to another: Exif byte for byte but for what would be untrue, and XMP packets whole."""

import struct
from typing import Final

from shared.ultrahdr.segments import APP0, APP1, EXIF, JFIF, START, XMP, build, walk

_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769  # Exif 2.32, table 4
_WIDTH, _HEIGHT = 0xA002, 0xA003  # PixelXDimension, PixelYDimension
_SHORT, _LONG = 3, 4  # TIFF types
MAX_ENTRIES: Final = 512  # tags looked at in one directory


def with_camera_data(base_jpeg: bytes, exif: bytes | None, packets: tuple[bytes, ...], orientation: int) -> bytes:
    """A JPEG with another's Exif and XMP in place of its own; its scan bytes stay.

    Args:
        base_jpeg: one image.
        exif: an Exif segment's payload, or None to keep what is there.
        packets: XMP packets; none: what is there stays.
        orientation: of the base, 1..8, which the copied Exif must say.

    Raises:
        UltraHdrError: the base is no JPEG.
    """
    jpeg = walk(base_jpeg)
    new = b""
    if exif is not None and jpeg.frame is not None:
        new += build(APP1, fitted(exif, orientation, jpeg.frame.width, jpeg.frame.height))
    new += b"".join(build(APP1, XMP + packet) for packet in packets)
    head, kept = START, b""
    for segment in jpeg.segments:
        replaced = (exif is not None and segment.holds(APP1, EXIF)) or (packets and segment.holds(APP1, XMP))
        if segment.holds(APP0, JFIF) and not kept:
            head += base_jpeg[segment.start : segment.end]
        elif not replaced:
            kept += base_jpeg[segment.start : segment.end]
    rest = jpeg.segments[-1].end if jpeg.segments else len(START)
    return head + new + kept + base_jpeg[rest:]


def fitted(exif: bytes, orientation: int, width: int, height: int) -> bytes:
    """An Exif payload whose orientation and size are the new picture's, and which no longer shows the old thumbnail.

    Everything else stays where it is, so that offsets inside of maker notes hold.
    """
    data = bytearray(exif)
    tiff = len(EXIF)
    order = {b"MM": ">", b"II": "<"}.get(bytes(data[tiff : tiff + 2]))
    if not exif.startswith(EXIF) or order is None:
        return exif
    try:
        (first,) = struct.unpack_from(f"{order}I", data, tiff + 4)
        entries, end = _entries(data, tiff + first, order)
        _write(data, entries.get(_ORIENTATION), order, orientation)
        # The pointer behind the directory leads to the thumbnail's: a thumbnail of the photo before the edit.
        struct.pack_into(f"{order}I", data, end, 0)
        if _EXIF_IFD in entries:
            (inner,) = struct.unpack_from(f"{order}I", data, entries[_EXIF_IFD] + 8)
            sizes, _ = _entries(data, tiff + inner, order)
            _write(data, sizes.get(_WIDTH), order, width)
            _write(data, sizes.get(_HEIGHT), order, height)
    except struct.error:
        return exif  # cut off or damaged: as it was
    return bytes(data)


def _entries(data: bytearray, start: int, order: str) -> tuple[dict[int, int], int]:
    """Where each tag's entry lies, and where the directory ends."""
    (count,) = struct.unpack_from(f"{order}H", data, start)
    found = {}
    for index in range(min(count, MAX_ENTRIES)):
        where = start + 2 + 12 * index
        found[struct.unpack_from(f"{order}H", data, where)[0]] = where
    return found, start + 2 + 12 * count


def _write(data: bytearray, entry: int | None, order: str, value: int) -> None:
    """Put a number into an entry of one SHORT or LONG."""
    if entry is None:
        return
    kind, count = struct.unpack_from(f"{order}HI", data, entry + 2)
    if count == 1 and kind in (_SHORT, _LONG):
        struct.pack_into(f"{order}H2x" if kind == _SHORT else f"{order}I", data, entry + 8, value)
