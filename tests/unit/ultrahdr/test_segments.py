"""The marker walk: where an image ends, whatever lies in it."""

import io
import re

import pytest
from PIL import Image

from shared.ultrahdr import UltraHdrError, parse
from shared.ultrahdr.segments import build, walk
from tests.golden.recipe import exif, photo, segment


def saved(**options: bool | int) -> bytes:
    """The photo encoded anew, with other settings."""
    out = io.BytesIO()
    Image.open(io.BytesIO(photo())).save(out, "JPEG", **options)
    return out.getvalue()


def with_thumbnail() -> bytes:
    return photo()[:2] + segment(0xE1, exif()) + photo()[2:]


def with_fill_bytes() -> bytes:
    """Fill bytes before a segment, before SOS and before EOI."""
    data = photo().replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1).replace(b"\xff\xda", b"\xff\xff\xda", 1)
    return data[:-2] + b"\xff\xff\xff\xd9"


def with_lines_defined_late() -> bytes:
    """A DNL segment behind the first scan, with what looks like EOI as its content."""
    return photo()[:-2] + segment(0xDC, b"\xff\xd9") + b"\xff\xd9"


def progressive() -> bytes:
    return saved(progressive=True)


def restarting() -> bytes:
    return saved(restart_marker_blocks=2)


FILES = [photo, with_thumbnail, with_fill_bytes, with_lines_defined_late, progressive, restarting]


@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("behind", [b"", b"\xff\xd8\xff\xd9", b"\0\xff\xd9 a video"])
def test_ends_at_its_own_end(make: object, behind: bytes) -> None:
    assert callable(make)
    data = make()
    layout = walk(data + behind)
    assert layout.end == len(data)
    assert layout.frame is not None
    assert (layout.frame.width, layout.frame.height) == Image.open(io.BytesIO(data)).size
    assert layout.frame.components == 3
    assert parse(data + behind).primary == data


def test_these_files_hold_what_they_are_named_for() -> None:
    assert len(re.findall(rb"\xff\xda", progressive())) > 3
    assert len(re.findall(rb"\xff[\xd0-\xd7]", restarting())) > 8
    assert with_thumbnail().count(b"\xff\xd8") == 2
    progressive_frame = walk(progressive()).frame
    assert progressive_frame is not None
    assert progressive_frame.progressive


@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_cut_off_anywhere_it_has_no_end(make: object) -> None:
    assert callable(make)
    data = make()
    for length in (*range(2, 700, 7), *range(700, len(data), 211), len(data) - 1):
        try:
            assert walk(data[:length]).end is None
        except UltraHdrError as fault:
            assert fault.code == "bad_segment"  # noqa: PT017  (either is right)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe0\0\1",
        b"\xff\xd8\0\0",
        b"\xff\xd8\xff\0",
        b"\xff\xd8\xff\xd8",
        b"\xff\xd8\xff\xc0\0\4\x08\0",
    ],
)
def test_malformed_headers_are_refused(data: bytes) -> None:
    with pytest.raises(UltraHdrError) as caught:
        walk(data)
    assert caught.value.code == "bad_segment"
    assert caught.value.offset is not None


def test_builds_up_to_the_limit() -> None:
    assert len(build(0xE1, bytes(65_533))) == 65_537
    with pytest.raises(UltraHdrError) as caught:
        build(0xE1, bytes(65_534))
    assert caught.value.code == "segment_too_large"
