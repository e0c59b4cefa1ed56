"""Any bytes give a value or UltraHdrError, and never more work than their length."""

import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ultrahdr import UltraHdrError, audit, parse
from shared.ultrahdr.xmp.read import read
from shared.ultrahdr.xmp.write import primary_packets
from tests.fuzz.mutate import run
from tests.golden.recipe import packet, photo, segment

XMP = b"http://ns.adobe.com/xap/1.0/\0"


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=400, deadline=None)
def test_random_bytes(data: bytes, begins_well: bool) -> None:
    data = b"\xff\xd8" + data if begins_well else data
    for function in (parse, audit):
        try:
            assert function(data) is not None
        except UltraHdrError as error:
            assert error.code  # noqa: PT017  (a value is as good)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_random_xmp(data: bytes) -> None:
    assert read(data).items == read(data).items
    assert b"GainMap" in primary_packets([data], None, 10).standard


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_random_text_inside_xmp(text: str) -> None:
    written = primary_packets([packet(text)], None, 10).standard
    assert read(written).has_directory


def test_mutated_files() -> None:
    outcomes = run(1500, seed=2)
    assert outcomes["hdr"] > 100
    assert sum(outcomes.values()) == 1500


def test_entity_bombs_are_not_unfolded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;">' % ((c + 1,) + (c,) * 8) for c in range(97, 110)
    ) + b"]><x:xmpmeta xmlns:x='adobe:ns:meta/'>&n;</x:xmpmeta>"  # fmt: skip
    assert read(bomb).hdrgm == {}
    data = photo()[:2] + segment(0xE1, XMP + bomb) + photo()[2:]
    assert parse(data).is_hdr is False


def calls(function: Callable[[bytes], object], data: bytes) -> int:
    """How many function calls it takes: a count, so that no clock decides."""
    count = 0

    def counted(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        function(data)
    except UltraHdrError:
        pass
    finally:
        sys.setprofile(None)
    return count


def _many_segments(n: int) -> bytes:
    return b"\xff\xd8" + segment(0xFE, b"x") * n + photo()[2:]


def _many_fill_bytes(n: int) -> bytes:
    return photo()[:-2] + b"\xff" * (50 * n) + b"\x00\xff\xd9"


def _many_scans(n: int) -> bytes:
    return photo()[:-2] + segment(0xDA, b"\1\1\0\0\x3f\0") * n + b"\xff\xd9"


def _many_images(n: int) -> bytes:
    return photo() * n


@pytest.mark.parametrize("make", [_many_segments, _many_fill_bytes, _many_scans, _many_images])
@pytest.mark.parametrize("function", [parse, audit])
def test_work_grows_with_the_length_and_no_faster(
    make: Callable[[int], bytes], function: Callable[[bytes], object]
) -> None:
    short, long = calls(function, make(200)), calls(function, make(1600))
    assert long <= 8 * short * 1.2 + 200
