"""XMP packets: what hdrgm and GContainer say, read in any of RDF's spellings."""

import math
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.metadata import Channels, GainMapMetadata, quantised

MAX_PACKET: Final = 65_504  # bytes: what a standard packet may have (XMP part 3, 1.1.3.1)
HDRGM: Final = "http://ns.adobe.com/hdr-gain-map/1.0/"
CONTAINER: Final = "http://ns.google.com/photos/1.0/container/"
ITEM: Final = "http://ns.google.com/photos/1.0/container/item/"
APDI: Final = "http://ns.apple.com/pixeldatainfo/1.0/"
APPLE_GAIN_MAP: Final = "http://ns.apple.com/HDRGainMap/1.0/"
CAMERA: Final = "http://ns.google.com/photos/1.0/camera/"
NOTE: Final = "http://ns.adobe.com/xmp/note/"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
VERSION: Final = "1.0"  # of hdrgm: readers compare the text
APPLE_AUXILIARY: Final = "urn:com:apple:photo:2020:aux:hdrgainmap"


@dataclass(frozen=True, slots=True)
class ContainerItem:
    """One entry of a GContainer directory, as text; `length` and `padding` in bytes, None where absent."""

    semantic: str
    mime: str
    length: int | None
    padding: int


@dataclass(frozen=True, slots=True)
class Packet:
    """What we care about in one packet.

    `hdrgm` maps a property's name to its values as text; `plain` names those written as attributes, the only
    form that libultrahdr reads.
    """

    hdrgm: dict[str, tuple[str, ...]]
    plain: frozenset[str]
    items: tuple[ContainerItem, ...]
    apple: dict[str, str]

    @property
    def has_directory(self) -> bool:
        """Whether it has a directory that names a gain map."""
        return any(item.semantic == "GainMap" for item in self.items)


EMPTY: Final = Packet({}, frozenset(), (), {})


def tree_of(packet: bytes) -> Element | None:
    """The packet's XML, or None where it is not well-formed or declares entities."""
    text = decoded(packet)
    # XMP has no document type; one that comes anyway can only be an entity bomb.
    if text is None or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        return ElementTree.fromstring(text.strip("\0\ufeff \r\n\t"))  # noqa: S314  (no entities: see above)
    except (ElementTree.ParseError, ValueError, RecursionError):
        return None


def decoded(packet: bytes) -> str | None:
    """The packet's text: UTF-8, or UTF-16 with a byte order mark; None where it is neither."""
    encoding = "utf-16" if packet[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        return packet.decode(encoding)
    except UnicodeDecodeError:
        return None


def read(packet: bytes) -> Packet:
    """Take a packet apart; EMPTY where it is not readable as XML."""
    root = tree_of(packet)
    if root is None:
        return EMPTY
    hdrgm: dict[str, tuple[str, ...]] = {}
    plain: set[str] = set()
    apple: dict[str, str] = {}
    items: list[ContainerItem] = []
    for element in root.iter():
        for key, value in element.attrib.items():
            space, name = _split(key)
            if space == HDRGM:
                hdrgm.setdefault(name, (value,))
                plain.add(name)
            elif space in (APDI, APPLE_GAIN_MAP):
                apple.setdefault(name, value)
        space, name = _split(element.tag)
        if space == HDRGM:
            hdrgm.setdefault(name, _values(element))
        elif space in (APDI, APPLE_GAIN_MAP):
            apple.setdefault(name, (element.text or "").strip())
        elif (space, name) == (CONTAINER, "Item"):
            items.append(_item(element))
    return Packet(hdrgm, frozenset(plain), tuple(items), apple)


def metadata_of(packet: Packet, offset: int | None = None) -> GainMapMetadata:
    """hdrgm's values, with the defaults of Ultra HDR v1 where a property is absent.

    Raises:
        UltraHdrError: `bad_hdrgm`, for a wrong version, a base that is HDR, or values that are no numbers;
            `bad_metadata`.
    """
    if packet.hdrgm.get("Version") != (VERSION,):
        raise _bad(f"hdrgm:Version is {packet.hdrgm.get('Version')}, readers know 1.0 only", offset)
    if packet.hdrgm.get("BaseRenditionIsHDR", ("False",))[0].lower() == "true":
        raise _bad("hdrgm:BaseRenditionIsHDR is True: the base would be the HDR rendition", offset)
    fields = (
        _numbers(packet, "GainMapMin", 0.0, offset),
        _numbers(packet, "GainMapMax", 1.0, offset),
        _numbers(packet, "Gamma", 1.0, offset),
        _numbers(packet, "OffsetSDR", 1 / 64, offset),
        _numbers(packet, "OffsetHDR", 1 / 64, offset),
    )
    most = max(len(field) for field in fields)
    low, high, gamma, base, alternate = (field * most if len(field) == 1 else field for field in fields)
    headrooms = [
        _numbers(packet, name, default, offset)[0]
        for name, default in (("HDRCapacityMin", 0.0), ("HDRCapacityMax", 1.0))
    ]
    return GainMapMetadata(low, high, gamma, base, alternate, headrooms[0], headrooms[1])


def number_of(text: str) -> float:
    """A property's number; a rational such as 7/2 is allowed by XMP.

    Raises:
        ValueError: the text is no finite number.
    """
    numerator, slash, denominator = text.strip().partition("/")
    value = float(numerator) / float(denominator) if slash and float(denominator) else float(numerator)
    if not math.isfinite(value) or (slash and not float(denominator)):
        raise ValueError(text)
    return value


def _numbers(packet: Packet, name: str, default: float, offset: int | None) -> Channels:
    values = packet.hdrgm.get(name)
    if values is None:
        return (quantised(default),)
    try:
        numbers = tuple(quantised(number_of(value)) for value in values)
    except (ValueError, OverflowError):
        raise _bad(f"hdrgm:{name} is {values!r}, not a number", offset) from None
    if len(numbers) not in (1, 3):
        raise _bad(f"hdrgm:{name} has {len(numbers)} values, not one or three", offset)
    return numbers


def _values(element: Element) -> tuple[str, ...]:
    """An element's text, or the texts of the rdf:li of the list inside it."""
    # Not iter(): elements nested in each other would make that quadratic.
    listed = tuple((li.text or "").strip() for inner in element for li in inner if li.tag == f"{{{RDF}}}li")
    return listed or ((element.text or "").strip(),)


def _item(element: Element) -> ContainerItem:
    fields: dict[str, str] = {}
    for key, value in element.attrib.items():
        space, name = _split(key)
        if space == ITEM:
            fields[name] = value
    for child in element:
        space, name = _split(child.tag)
        if space == ITEM:
            fields.setdefault(name, (child.text or "").strip())
    return ContainerItem(
        fields.get("Semantic", ""),
        fields.get("Mime", ""),
        _whole(fields.get("Length")),
        _whole(fields.get("Padding")) or 0,
    )


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None


def _split(name: object) -> tuple[str, str]:
    if not isinstance(name, str) or not name.startswith("{"):
        return "", str(name)
    space, _, local = name[1:].partition("}")
    return space, local


def _bad(reason: str, offset: int | None) -> UltraHdrError:
    return UltraHdrError("bad_hdrgm", f"hdrgm XMP: {reason}; write the packet anew", offset)
