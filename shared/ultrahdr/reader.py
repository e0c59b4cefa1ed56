"""Read an Ultra HDR JPEG: where the map is, and what its metadata say.

`gather` finds every piece without judging; `parse` takes what readers take, `audit` says what is amiss.
"""

from dataclasses import dataclass, replace

from shared.ultrahdr import iso21496, mpf
from shared.ultrahdr.apple import maker_headroom, xmp_headroom
from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.metadata import AppleGainMap, GainMapMetadata, MetadataSource
from shared.ultrahdr.segments import APP1, APP2, EXIF, START, XMP, Jpeg, Segment, walk
from shared.ultrahdr.xmp import read as xmp
from shared.ultrahdr.xmp.read import Packet

MAX_IMAGES = 16  # MP entries that are looked at


@dataclass(frozen=True, slots=True)
class UltraHdrFile:
    """A file taken apart; `gain_map` is None for a flat JPEG."""

    primary: bytes
    gain_map: bytes | None
    metadata: GainMapMetadata | AppleGainMap | None
    source: MetadataSource | None

    @property
    def is_hdr(self) -> bool:
        """Whether there is a map and metadata to apply it with."""
        return self.gain_map is not None and self.metadata is not None


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the file and the metadata in it; `packets` are the standard XMP packets, parsed."""

    jpeg: Jpeg
    packets: tuple[Packet, ...]
    iso: Segment | None

    @property
    def packet(self) -> Packet:
        """The first packet, the only one that readers look at."""
        return self.packets[0] if self.packets else xmp.EMPTY

    @property
    def iso_payload(self) -> bytes | None:
        """The ISO 21496-1 payload behind its namespace."""
        return None if self.iso is None else self.iso.payload[len(iso21496.NAMESPACE) :]

    @property
    def is_gain_map(self) -> bool:
        """Whether anything in it says that it is a gain map."""
        full = self.iso_payload is not None and len(self.iso_payload or b"") > len(iso21496.VERSION)
        return full or bool(self.packet.hdrgm) or self.packet.apple.get("AuxiliaryImageType") == xmp.APPLE_AUXILIARY


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was found; `map` is the gain map by the way that worked first.

    `mpf_segment` and `entries` describe the MPF; `mpf_fault` says why it could not be read. `expected` is the
    offset behind the primary's EOI and its padding, where a map should begin.
    """

    data: bytes
    primary: Image
    map: Image | None
    mpf_segment: Segment | None
    entries: tuple[mpf.MpEntry, ...]
    mpf_fault: str | None
    expected: int

    def absolute(self, entry: mpf.MpEntry) -> int:
        """An entry's offset from the file's start."""
        start = 0 if self.mpf_segment is None else self.mpf_segment.start + mpf.HEADER_OFFSET
        return 0 if entry.offset == 0 else start + entry.offset


def parse(data: bytes) -> UltraHdrFile:
    """Take a file apart.

    The map is looked for where readers look: by MPF, else by the GContainer's length as Chromium does (hdrgm
    alone), else right behind the primary's EOI as libultrahdr does. Metadata: ISO 21496-1 if it is valid,
    else hdrgm, else Apple's.

    Raises:
        UltraHdrError: the data are no JPEG, or its primary image is cut off.
    """
    facts = gather(data)
    end = facts.primary.jpeg.end
    if end is None:
        raise UltraHdrError("truncated", "the primary image is cut off before its end; get the whole file", len(data))
    primary = data[:end]
    if facts.map is None or facts.map.jpeg.end is None:
        return UltraHdrFile(primary, None, None, None)
    gain_map = data[facts.map.jpeg.start : facts.map.jpeg.end]
    metadata, source = _metadata(facts)
    return UltraHdrFile(primary, gain_map, metadata, source)


def gather(data: bytes) -> Facts:
    """Find every piece of a file.

    Raises:
        UltraHdrError: the data are no JPEG.
    """
    primary = _image(walk(data))
    segment = primary.jpeg.first(APP2, mpf.SIGNATURE)
    entries, fault = _entries(segment)
    expected = primary.jpeg.end if primary.jpeg.end is not None else len(data)
    facts = Facts(data, primary, None, segment, entries, fault, expected)
    for way, position in _places(facts):
        image = _image_at(data, position)
        if image is not None and image.is_gain_map and (way != "container" or image.packet.hdrgm):
            return replace(facts, map=image)
    return facts


def _places(facts: Facts) -> list[tuple[str, int]]:
    """Where a map may begin, in the order in which readers look."""
    places = [("mpf", facts.absolute(entry)) for entry in facts.entries[1:MAX_IMAGES]]
    position = facts.expected
    for item in facts.primary.packet.items:
        if item.semantic == "GainMap" and item.length is not None:
            places.append(("container", position))
            break
        position += (item.length or 0) + item.padding
    return [(way, place) for way, place in [*places, ("behind", facts.expected)] if place > 0]


def _entries(segment: Segment | None) -> tuple[tuple[mpf.MpEntry, ...], str | None]:
    if segment is None:
        return (), None
    try:
        return tuple(mpf.decode(segment.payload, segment.start)), None
    except UltraHdrError as error:
        return (), str(error)


def _image_at(data: bytes, position: int) -> Image | None:
    if data[position : position + 2] != START:
        return None
    try:
        return _image(walk(data, position))
    except UltraHdrError:
        return None


def _image(jpeg: Jpeg) -> Image:
    packets = tuple(xmp.read(segment.payload[len(XMP) :]) for segment in jpeg.all_of(APP1, XMP))
    return Image(jpeg, packets, jpeg.first(APP2, iso21496.NAMESPACE))


def _metadata(facts: Facts) -> tuple[GainMapMetadata | AppleGainMap | None, MetadataSource | None]:
    if facts.map is None:
        return None, None
    payload = facts.map.iso_payload
    try:
        if payload is not None:
            return iso21496.decode(payload), MetadataSource.ISO
    except UltraHdrError:
        pass  # readers then take hdrgm, and the auditor says why
    try:
        if facts.map.packet.hdrgm:
            return xmp.metadata_of(facts.map.packet), MetadataSource.HDRGM
    except UltraHdrError:
        pass
    headroom = apple_headroom(facts.primary, facts.map)
    return (None, None) if headroom is None else (AppleGainMap(headroom), MetadataSource.APPLE)


def apple_headroom(primary: Image, gain_map: Image) -> float | None:
    """Headroom in stops from the map's XMP (iOS 18 writes it there), else from the primary's MakerNote."""
    if gain_map.packet.apple.get("AuxiliaryImageType") != xmp.APPLE_AUXILIARY:
        return None
    headroom = xmp_headroom(gain_map.packet.apple.get("HDRGainMapHeadroom"))
    if headroom is not None:
        return headroom
    exif = primary.jpeg.first(APP1, EXIF)
    return None if exif is None else maker_headroom(exif.payload)
