"""The MPF segment: one table of values and bytes, and segments that cameras wrote."""

import struct
from pathlib import Path

import pytest

from shared.ultrahdr import UltraHdrError, mpf
from shared.ultrahdr.segments import walk

HEAD = "ffe200584d5046004d4d002a000000080003"
TAGS = "b00000070000000430313030b00100040000000100000002b0020007000000200000003200000000"

# position of the segment, size of the primary, size of the map, bytes
CASES = [
    (20, 112403, 2245, "000300000001b713000000000000000000000000000008c50001b6f700000000"),
    (93353, 112403, 2245, "000300000001b713000000000000000000000000000008c500004a6200000000"),
]


@pytest.mark.parametrize(("position", "primary", "gain_map", "entries"), CASES)
def test_writes(position: int, primary: int, gain_map: int, entries: str) -> None:
    assert mpf.encode_at(position, primary, gain_map).hex() == HEAD + TAGS + entries


@pytest.mark.parametrize(("position", "primary", "gain_map", "entries"), CASES)
def test_reads(position: int, primary: int, gain_map: int, entries: str) -> None:
    first, second = mpf.decode(bytes.fromhex(HEAD + TAGS + entries)[4:])
    assert (first.type_code, first.size, first.offset) == (mpf.PRIMARY_TYPE, primary, 0)
    assert (second.type_code, second.size) == (0, gain_map)
    assert position + 8 + second.offset == primary


def test_reads_little_endian() -> None:
    ifd = struct.pack("<HHHI4sHHIIHHII", 3, 0xB000, 7, 4, b"0100", 0xB001, 4, 1, 2, 0xB002, 7, 32, 50)
    entries = struct.pack("<IIIHHIIIHH", 0x030000, 900, 0, 0, 0, 0, 77, 880, 0, 0)
    first, second = mpf.decode(b"MPF\0II*\0" + struct.pack("<I", 8) + ifd + bytes(4) + entries)
    assert (first.type_code, first.size, first.offset) == (0x030000, 900, 0)
    assert (second.type_code, second.size, second.offset) == (0, 77, 880)


def test_a_segment_cut_off_anywhere_is_refused() -> None:
    payload = mpf.encode_at(20, 1000, 100)[4:]
    for length in range(len(payload)):
        with pytest.raises(UltraHdrError) as caught:
            mpf.decode(payload[:length])
        assert caught.value.code == "bad_mpf"


def test_a_number_of_tags_beyond_the_segment_is_refused() -> None:
    payload = bytearray(mpf.encode_at(20, 1000, 100)[4:])
    payload[12:14] = b"\xff\xff"
    payload[14:50] = bytes(36)
    with pytest.raises(UltraHdrError):
        mpf.decode(bytes(payload))


@pytest.mark.samples
@pytest.mark.parametrize(
    "name", ["ultrahdr-iso-xmp.jpg", "libvips-ultrahdr.jpg", "pixel-12mp.jpg", "iphone-original.jpg"]
)
def test_every_entry_of_a_real_file_begins_an_image(name: str, samples: Path) -> None:
    data = (samples / name).read_bytes()
    segment = walk(data).first(0xE2, mpf.SIGNATURE)
    assert segment is not None
    entries = mpf.decode(segment.payload)
    assert len(entries) >= 2
    assert entries[0].type_code == mpf.PRIMARY_TYPE
    for entry in entries[1:]:
        start = segment.start + mpf.HEADER_OFFSET + entry.offset
        assert data[start : start + 2] == b"\xff\xd8"
