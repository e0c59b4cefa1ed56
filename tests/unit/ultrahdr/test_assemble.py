"""The writer: layout, what of the user's file survives, and what of its earlier life does not."""

import hashlib
import io
import struct
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from shared.ultrahdr import GainMapMetadata, UltraHdrError, assemble, parse
from shared.ultrahdr.segments import XMP_EXTENSION, walk
from tests.golden.mutations import GOOD
from tests.golden.recipe import USER, build, exif, gain_map_image, packet, photo, profile, segment

XMP = b"http://ns.adobe.com/xap/1.0/\0"
METADATA = GainMapMetadata.from_floats(
    gain_map_min=0, gain_map_max=2, gamma=1, base_offset=1 / 64, alternate_offset=1 / 64,
    base_hdr_headroom=0, alternate_hdr_headroom=2,
)  # fmt: skip
MAP = gain_map_image("L", (80, 54))


def with_segments(*segments: bytes, base: bytes | None = None) -> bytes:
    """The base with segments behind SOI."""
    base = base if base is not None else photo()
    return base[:2] + b"".join(segments) + base[2:]


def scan_of(jpeg: bytes) -> bytes:
    """Everything from SOS to EOI."""
    layout = walk(jpeg)
    assert layout.scan is not None
    return jpeg[layout.scan : layout.end]


def payloads(jpeg: bytes, marker: int, start: bytes) -> list[bytes]:
    """Every payload of one kind in the primary."""
    return [s.payload for s in walk(jpeg).segments if s.marker == marker and s.payload.startswith(start)]


def test_layout_is_the_one_that_every_reader_takes() -> None:
    base = with_segments(
        segment(0xE1, exif()), segment(0xE2, b"ICC_PROFILE\0\x01\x01" + profile()), segment(0xFE, b"hi")
    )
    out = assemble(base, MAP, METADATA)
    kinds = [(s.marker, s.payload[:4]) for s in walk(out).segments if s.marker >= 0xE0]
    assert kinds == [
        (0xE1, b"Exif"), (0xE0, b"JFIF"), (0xE1, b"http"), (0xE2, b"MPF\0"),
        (0xE2, b"urn:"), (0xE2, b"ICC_"), (0xFE, b"hi"),
    ]  # fmt: skip
    gain_map = parse(out).gain_map
    assert gain_map is not None
    assert [(s.marker, s.payload[:4]) for s in walk(gain_map).segments if s.marker >= 0xE0] == [
        (0xE0, b"JFIF"), (0xE1, b"http"), (0xE2, b"urn:"),
    ]  # fmt: skip
    assert out.endswith(gain_map)
    assert parse(out).primary + gain_map == out


def test_mpf_offsets_count_from_behind_its_signature() -> None:
    out = assemble(photo(), MAP, METADATA)
    mpf = next(s for s in walk(out).segments if s.payload.startswith(b"MPF\0"))
    assert mpf.end - mpf.start == 90
    entries = struct.unpack(">IIIHHIIIHH", mpf.payload[-32:])
    primary = parse(out).primary
    assert entries == (
        0x030000,
        len(primary),
        0,
        0,
        0,
        0,
        len(out) - len(primary),
        len(primary) - mpf.start - 8,
        0,
        0,
    )


def test_scan_bytes_and_pixels_are_the_users() -> None:
    out = assemble(photo(), MAP, METADATA)
    assert scan_of(out) == scan_of(photo())
    before, after = (
        np.asarray(Image.open(io.BytesIO(data), formats=["JPEG"]).convert("RGB")) for data in (photo(), out)
    )
    assert np.array_equal(before, after)


def test_both_standards_say_the_same_numbers() -> None:
    odd = GainMapMetadata.from_floats(
        gain_map_min=-0.123456, gain_map_max=2.718282, gamma=0.7, base_offset=0.01, alternate_offset=0.02,
        base_hdr_headroom=0.25, alternate_hdr_headroom=2.5,
    )  # fmt: skip
    out = assemble(photo(), MAP, odd)
    assert parse(out).metadata == odd
    without_iso = out.replace(b"urn:iso:std:iso:ts:21496:-1", b"urn:xxx:xxx:xxx:xx:xxxxx:xx")
    assert parse(without_iso).metadata == odd


def test_three_channels_survive_in_both_forms() -> None:
    three = GainMapMetadata.from_floats(
        gain_map_min=[0, 0.1, 0.2], gain_map_max=[1, 2, 3], gamma=1, base_offset=0, alternate_offset=0,
        base_hdr_headroom=0, alternate_hdr_headroom=3,
    )  # fmt: skip
    out = assemble(photo(), gain_map_image("RGB", (80, 54)), three)
    assert parse(out).metadata == three
    without_iso = parse(out.replace(b"urn:iso:std:iso:ts:21496:-1", b"urn:xxx:xxx:xxx:xx:xxxxx:xx")).metadata
    assert isinstance(without_iso, GainMapMetadata)
    assert (without_iso.gain_map_max, without_iso.gain_map_min) == (three.gain_map_max, three.gain_map_min)


def test_user_segments_survive_byte_for_byte() -> None:
    third = profile()[:200]
    kept = [
        segment(0xE1, exif(6)),
        segment(0xE2, b"ICC_PROFILE\0\x01\x03" + third),
        segment(0xE2, b"ICC_PROFILE\0\x02\x03" + third),
        segment(0xE2, b"ICC_PROFILE\0\x03\x03" + third),
        segment(0xED, b"Photoshop 3.0\x008BIM"),
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01"),
        segment(0xFE, b"a comment"),
    ]
    out = assemble(with_segments(*kept), MAP, METADATA)
    positions = [out.find(part) for part in kept]
    assert -1 not in positions
    assert positions == sorted(positions)


def test_user_xmp_is_kept_and_joined() -> None:
    out = assemble(with_segments(segment(0xE1, XMP + packet(USER))), MAP, METADATA)
    packets = payloads(out, 0xE1, XMP)
    assert len(packets) == 1
    assert USER.encode() in packets[0]
    descriptions = ElementTree.fromstring(packets[0][len(XMP) :]).findall(".//{*}Description")
    assert len(descriptions) == 2


def test_a_packet_that_would_overflow_spills_the_users_part() -> None:
    words = "x" * 64_800
    user = packet(
        f'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{words}</dc:title></rdf:Description>'
    )
    out = assemble(with_segments(segment(0xE1, XMP + user)), MAP, METADATA)
    standard = payloads(out, 0xE1, XMP)[0][len(XMP) :]
    assert b"GainMap" in standard
    assert words.encode() not in standard
    chunks = payloads(out, 0xE1, XMP_EXTENSION)
    extended = b"".join(chunk[len(XMP_EXTENSION) + 40 :] for chunk in chunks)
    assert words.encode() in extended
    guid = hashlib.md5(extended).hexdigest().upper().encode()
    assert all(chunk[len(XMP_EXTENSION) :].startswith(guid) for chunk in chunks)
    assert b'HasExtendedXMP="' + guid in standard
    assert parse(out).metadata == METADATA


def test_a_full_packet_gives_up_its_padding_before_it_spills() -> None:
    padded = packet(USER) + b" " * 64_800 + b'<?xpacket end="w"?>'
    out = assemble(with_segments(segment(0xE1, XMP + padded)), MAP, METADATA)
    assert payloads(out, 0xE1, XMP_EXTENSION) == []
    assert USER.encode() in payloads(out, 0xE1, XMP)[0]


def test_extended_xmp_is_kept_unchanged() -> None:
    chunk = segment(0xE1, XMP_EXTENSION + b"A" * 32 + struct.pack(">II", 6, 0) + b"<a/>\n\n")
    out = assemble(with_segments(segment(0xE1, XMP + packet(USER)), chunk), MAP, METADATA)
    assert chunk in out


def test_nothing_of_an_earlier_life_survives() -> None:
    old = build(replace(GOOD, ampf=True, trailing=b"a video"))
    out = assemble(old, MAP, METADATA)
    assert parse(out).metadata == METADATA
    assert parse(out).gain_map != parse(old).gain_map
    assert out.count(b"MPF\0") == 1
    assert out.count(b"urn:iso:std:iso:ts:21496:-1\0") == 2
    assert out.count(b'Semantic="GainMap"') == 1
    assert b"AMPF" not in out
    assert b"a video" not in out
    assert USER.encode() in out


def test_motion_photo_marks_go_with_the_video() -> None:
    camera = (
        '<rdf:Description rdf:about="" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
        'GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1" GCamera:SpecialTypeID="kept"/>'
    )
    out = assemble(with_segments(segment(0xE1, XMP + packet(camera))) + b"video", MAP, METADATA)
    assert b"MotionPhoto" not in out
    assert b'GCamera:SpecialTypeID="kept"' in out


def test_doing_it_twice_changes_nothing() -> None:
    once = assemble(with_segments(segment(0xE1, XMP + packet(USER))), MAP, METADATA)
    assert assemble(once, MAP, METADATA) == once


@pytest.mark.parametrize(
    ("base", "gain_map", "code"),
    [
        (b"no jpeg", MAP, "not_a_jpeg"),
        (photo()[:-40], MAP, "truncated"),
        (photo(), MAP[:-10], "truncated"),
        (gain_map_image("CMYK", (80, 54)), MAP, "bad_components"),
        (photo(), gain_map_image("CMYK", (80, 54)), "bad_components"),
    ],
)
def test_what_cannot_be_assembled_is_refused(base: bytes, gain_map: bytes, code: str) -> None:
    with pytest.raises(UltraHdrError) as caught:
        assemble(base, gain_map, METADATA)
    assert caught.value.code == code
