"""Ultra HDR files by hand: an independent builder, so that our own writer is not its own witness.

Every number and every place can be set apart from the others, which is how broken files come to be.
"""

import io
import struct
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image, ImageCms

WIDTH, HEIGHT = 160, 108  # pixels of the base
MAP = (40, 27)  # pixels of the gain map
HDRGM = {
    "Version": "1.0",
    "GainMapMin": "0.000000",
    "GainMapMax": "2.000000",
    "Gamma": "1.000000",
    "OffsetSDR": "0.015625",
    "OffsetHDR": "0.015625",
    "HDRCapacityMin": "0.000000",
    "HDRCapacityMax": "2.000000",
    "BaseRenditionIsHDR": "False",
}
ORDER = ("jfif", "exif", "xmp", "xmpext", "mpf", "iso", "icc", "app13", "com")
_HDRGM_NS = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
_NS = (
    f'{_HDRGM_NS} xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/"'
)
USER = '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/jpeg"/>'


def segment(marker: int, payload: bytes) -> bytes:
    """One marker segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def iso_payload(
    low: float = 0, high: float = 2, *, version: int = 0, writer: int = 0, flags: int = 0x40, base: float = 0,
    alternate: float = 2, offset: float = 1 / 64, denominator: int = 1_000_000, channels: int = 1,
) -> bytes:  # fmt: skip
    """An ISO 21496-1 payload with each number over `denominator` (numerators as over a million)."""

    def number(value: float) -> bytes:
        return struct.pack(">iI", round(value * 1_000_000), denominator)

    channel = number(low) + number(high) + number(1) + number(offset) + number(offset)
    return struct.pack(">HHB", version, writer, flags) + number(base) + number(alternate) + channel * channels


def common_denominator_payload(high: float = 2) -> bytes:
    """The withdrawn layout: flag 0x08, one denominator, bare numerators."""
    million = 1_000_000
    head = struct.pack(">HHBIII", 0, 0, 0x48, million, 0, round(high * million))
    return head + struct.pack(">iiIii", 0, round(high * million), million, 15625, 15625)


@dataclass(frozen=True)
class Recipe:
    """One file; the defaults are a good one. Deltas are added to what would be right."""

    order: tuple[str, ...] = ORDER
    mpf_offset_delta: int = 0
    mpf_offset_from_start: bool = False
    mpf_map_size_delta: int = 0
    mpf_primary_size_delta: int = 0
    container: bool = True
    container_length_delta: int = 0
    container_padding: int = 0
    primary_version: str | None = "1.0"
    hdrgm: dict[str, str] | None = field(default_factory=lambda: dict(HDRGM))
    iso: bytes | None = field(default_factory=iso_payload)
    iso_primary: bytes | None = b"\0\0\0\0"
    user_packet_apart: bool = False
    mode: str = "L"
    map_size: tuple[int, int] = MAP
    map_extra: tuple[bytes, ...] = ()
    truncate_map: int = 0
    padding: int = 0
    trailing: bytes = b""
    swapped: bool = False
    ampf: bool = False


def build(recipe: Recipe) -> bytes:
    """The file of a recipe."""
    gain_map = _map(recipe)
    if recipe.truncate_map:
        gain_map = gain_map[: -recipe.truncate_map]
    segments, scan = parts(photo())
    # Two passes: the MPF's numbers depend on where it lies, its size does not.
    primary = _primary(recipe, segments, scan, 0, len(gain_map))
    primary = _primary(recipe, segments, scan, len(primary), len(gain_map))
    if recipe.swapped:
        return gain_map + primary
    return primary + bytes(recipe.padding) + gain_map + recipe.trailing


@cache
def photo() -> bytes:
    """The base: a colour gradient with a bright lamp, JPEG without any metadata."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    pixels = np.stack([x * 200 / WIDTH, y * 200 / HEIGHT, 90 + 60 * np.sin(x / 9)], axis=2)
    pixels[(x - 110) ** 2 + (y - 40) ** 2 < 15**2] = 255
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "JPEG", quality=92)
    return out.getvalue()


@cache
def gain_map_image(mode: str, size: tuple[int, int]) -> bytes:
    """A gain map that reaches 255 at the lamp, as a JPEG without metadata."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = ((x + 0.5) / width - 110.5 / WIDTH) ** 2 * (WIDTH / HEIGHT) ** 2 + (
        (y + 0.5) / height - 40.5 / HEIGHT
    ) ** 2
    plane = np.where(distance < 0.2**2, 255, 255 * np.exp(-8 * distance)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(plane).convert(mode).save(out, "JPEG", quality=95)
    return out.getvalue()


@cache  # LittleCMS writes the time of day into a new profile
def profile() -> bytes:
    """An sRGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int = 1) -> bytes:
    """An Exif payload with a thumbnail, whose own SOI must fool nobody."""
    out = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 120, 40)).save(out, "JPEG")
    thumbnail = out.getvalue()
    first = struct.pack(">HHHIHH", 1, 0x0112, 3, 1, orientation, 0) + struct.pack(">I", 26)
    second = struct.pack(">HHHII", 2, 0x0201, 4, 1, 56) + struct.pack(">HHII", 0x0202, 4, 1, len(thumbnail))
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + first + second + struct.pack(">I", 0) + thumbnail


def parts(jpeg: bytes) -> tuple[bytes, bytes]:
    """A plain JPEG's tables and frame header, and everything from SOS on."""
    position = 2
    while jpeg[position + 1] != 0xDA:
        length = int.from_bytes(jpeg[position + 2 : position + 4])
        if 0xE0 <= jpeg[position + 1] <= 0xEF:  # JFIF and the like: the recipe brings its own
            jpeg = jpeg[:position] + jpeg[position + 2 + length :]
            continue
        position += 2 + length
    return jpeg[2:position], jpeg[position:]


def packet(descriptions: str) -> bytes:
    """An XMP packet."""
    rdf = f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{descriptions}</rdf:RDF>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'.encode()


def _map(recipe: Recipe) -> bytes:
    tables, scan = parts(gain_map_image(recipe.mode, recipe.map_size))
    out = [b"\xff\xd8", segment(0xE0, _jfif())]
    if recipe.hdrgm is not None:
        attributes = " ".join(f'hdrgm:{name}="{value}"' for name, value in recipe.hdrgm.items())
        xmp = packet(f'<rdf:Description rdf:about="" {_HDRGM_NS} {attributes}/>')
        out.append(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp))
    if recipe.iso is not None:
        out.append(segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + recipe.iso))
    return b"".join((*out, *recipe.map_extra, tables, scan))


def _primary(recipe: Recipe, tables: bytes, scan: bytes, size: int, map_size: int) -> bytes:
    out = b"\xff\xd8"
    for name in recipe.order:
        if name == "mpf":
            out += _mpf(recipe, len(out), size, map_size)
        else:
            out += _segment(recipe, name, map_size)
    return out + tables + scan


def _segment(recipe: Recipe, name: str, map_size: int) -> bytes:
    if name == "xmp":
        return _xmp(recipe, map_size)
    if name == "iso":
        return (
            b"" if recipe.iso_primary is None else segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + recipe.iso_primary)
        )
    plain = {
        "jfif": (0xE0, _jfif() + (b"AMPF" if recipe.ampf else b"")),
        "exif": (0xE1, exif()),
        "xmpext": (
            0xE1,
            b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 5, 0) + b"<a/>\n",
        ),
        "icc": (0xE2, b"ICC_PROFILE\0\x01\x01" + profile()),
        "app13": (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\0"),
        "com": (0xFE, b"a comment"),
    }
    return segment(*plain[name])


def _xmp(recipe: Recipe, map_size: int) -> bytes:
    version = f'hdrgm:Version="{recipe.primary_version}"' if recipe.primary_version is not None else ""
    padding = f' Item:Padding="{recipe.container_padding}"' if recipe.container_padding else ""
    length = map_size + recipe.container_length_delta
    directory = (
        "<Container:Directory><rdf:Seq>"
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"'
        f"{padding}/></rdf:li>"
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" '
        f'Item:Length="{length}"/></rdf:li></rdf:Seq></Container:Directory>'
    )
    head = b"http://ns.adobe.com/xap/1.0/\0"
    if recipe.primary_version is None and not recipe.container:
        return segment(0xE1, head + packet(USER))
    inside = directory if recipe.container else ""
    ours = f'<rdf:Description rdf:about="" {_NS} {version}>{inside}</rdf:Description>'
    if recipe.user_packet_apart:
        return segment(0xE1, head + packet(USER)) + segment(0xE1, head + packet(ours))
    return segment(0xE1, head + packet(USER + ours))


def _mpf(recipe: Recipe, position: int, size: int, map_size: int) -> bytes:
    base = 0 if recipe.mpf_offset_from_start else position + 8
    offset = size + recipe.padding - base + recipe.mpf_offset_delta
    entries = struct.pack(">IIIHH", 0x030000, max(size + recipe.mpf_primary_size_delta, 0), 0, 0, 0)
    entries += struct.pack(">IIIHH", 0, map_size + recipe.mpf_map_size_delta, max(offset, 0), 0, 0)
    ifd = struct.pack(">HHHI4sHHIIHHII", 3, 0xB000, 7, 4, b"0100", 0xB001, 4, 1, 2, 0xB002, 7, 32, 50)
    return segment(0xE2, b"MPF\0MM\0*" + struct.pack(">I", 8) + ifd + struct.pack(">I", 0) + entries)


def _jfif() -> bytes:
    return b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
