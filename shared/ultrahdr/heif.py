"""HEIF's item boxes (ISO/IEC 14496-12 and 23008-12), as far as a gain map needs them: no pixel is decoded here.

A phone's HEIC says how its map is applied in one of two places: the `tmap` item, whose data are the ISO 21496-1
payload, or an XMP packet that describes the auxiliary image.
"""

import struct
from dataclasses import dataclass
from typing import Final

from shared.ultrahdr import iso21496
from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.metadata import GainMapMetadata
from shared.ultrahdr.xmp import read as xmp

MAX_BOXES: Final = 4096  # of one level; a camera's file has a hundred
_TMAP_VERSION: Final = b"\0"  # the one byte before the payload (ISO 21496-1, annex C)

Boxes = dict[bytes, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class HeifGainMap:
    """What the boxes say of the map: `metadata` by ISO, else `packet`, the XMP of the map's own item."""

    metadata: GainMapMetadata | None
    packet: xmp.Packet


@dataclass(frozen=True, slots=True)
class _Items:
    """The meta box: type by item, references by (type, from), extents by item as (from idat, offset, length)."""

    kinds: dict[int, bytes]
    references: dict[tuple[bytes, int], list[int]]
    extents: dict[int, list[tuple[bool, int, int]]]
    idat: int

    def data(self, file: bytes, item: int) -> bytes:
        """An item's bytes, put together."""
        parts = ((self.idat if inside else 0, offset, length) for inside, offset, length in self.extents.get(item, []))
        return b"".join(file[base + offset : base + offset + length] for base, offset, length in parts)


def gain_map_of(file: bytes, item: int | None) -> HeifGainMap:
    """How a file's gain map is applied.

    Args:
        file: a whole HEIC.
        item: number of the auxiliary image, None where there is none.

    Raises:
        UltraHdrError: `bad_heif`, for boxes that contradict themselves.
    """
    try:
        items = _items(file)
    except (struct.error, IndexError) as error:
        raise UltraHdrError("bad_heif", "the HEIC's boxes are cut off or damaged; get the whole file") from error
    packet = xmp.EMPTY
    for (kind, source), targets in items.references.items():
        if kind == b"cdsc" and item in targets and items.kinds.get(source) == b"mime":
            packet = xmp.read(items.data(file, source))
    return HeifGainMap(_tone_map(file, items), packet)


def _tone_map(file: bytes, items: _Items) -> GainMapMetadata | None:
    for item, kind in items.kinds.items():
        payload = items.data(file, item) if kind == b"tmap" else b""
        if payload.startswith(_TMAP_VERSION):
            try:
                return iso21496.decode(payload[len(_TMAP_VERSION) :])
            except UltraHdrError:
                return None  # Apple's own form may still be there
    return None


def _items(file: bytes) -> _Items:
    top = _boxes(file, 0, len(file))
    if b"meta" not in top:
        return _Items({}, {}, {}, 0)
    start, end = top[b"meta"]
    inner = _boxes(file, start + 4, end)  # behind version and flags
    kinds = _kinds(file, *inner.get(b"iinf", (0, 0)))
    references = _references(file, *inner.get(b"iref", (0, 0)))
    return _Items(kinds, references, _extents(file, *inner.get(b"iloc", (0, 0))), inner.get(b"idat", (0, 0))[0])


def _boxes(file: bytes, start: int, end: int) -> Boxes:
    """The first box of each type in a span: where its content begins and ends."""
    return dict(reversed(_listed(file, start, end)))


def _listed(file: bytes, start: int, end: int) -> list[tuple[bytes, tuple[int, int]]]:
    found: list[tuple[bytes, tuple[int, int]]] = []
    while start + 8 <= end and len(found) < MAX_BOXES:
        size, kind = struct.unpack_from(">I4s", file, start)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", file, start + 8)
            head = 16
        size = size or end - start
        if size < head or start + size > end:
            break
        found.append((kind, (start + head, start + size)))
        start += size
    return found


def _kinds(file: bytes, start: int, end: int) -> dict[int, bytes]:
    if start == end:
        return {}
    kinds: dict[int, bytes] = {}
    for kind, (inside, _) in _listed(file, start + (6 if file[start] == 0 else 8), end):
        if kind == b"infe" and file[inside] >= 2:
            wide = file[inside] > 2
            (item,) = struct.unpack_from(">I" if wide else ">H", file, inside + 4)
            place = inside + (10 if wide else 8)
            kinds[item] = file[place : place + 4]
    return kinds


def _references(file: bytes, start: int, end: int) -> dict[tuple[bytes, int], list[int]]:
    if start == end:
        return {}
    number = ">I" if file[start] else ">H"
    size = struct.calcsize(number)
    found: dict[tuple[bytes, int], list[int]] = {}
    for kind, (inside, _) in _listed(file, start + 4, end):
        (source,) = struct.unpack_from(number, file, inside)
        (count,) = struct.unpack_from(">H", file, inside + size)
        targets = struct.unpack_from(f">{count}{number[1]}", file, inside + size + 2)
        found.setdefault((kind, source), []).extend(targets)
    return found


def _extents(file: bytes, start: int, end: int) -> dict[int, list[tuple[bool, int, int]]]:
    """iloc (ISO/IEC 14496-12, 8.11.3): construction 0 counts from the file's start, 1 from idat's."""
    if start == end:
        return {}
    version, sizes, more = file[start], file[start + 4], file[start + 5]
    offset_size, length_size, base_size, index_size = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    position = start + 6

    def number(size: int) -> int:
        nonlocal position
        position += size
        if position > end:
            raise IndexError(position)
        return int.from_bytes(file[position - size : position], "big")

    found: dict[int, list[tuple[bool, int, int]]] = {}
    for _ in range(number(4 if version > 1 else 2)):
        item = number(4 if version > 1 else 2)
        inside = bool(number(2) & 15) if version else False
        number(2)  # data reference: this file
        base = number(base_size)
        parts = []
        for _ in range(number(2)):
            number(index_size)
            offset = number(offset_size)
            parts.append((inside, base + offset, number(length_size)))
        found[item] = parts
    return found
