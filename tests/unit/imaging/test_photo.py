"""Opening photos: every accepted format, every refusal, and pixels that others would agree with."""

import io
import resource
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from shared.imaging.decode import fit_within, upright_srgb
from shared.imaging.limits import MAX_BYTES
from shared.imaging.photo import PhotoError, open_photo
from tests.golden.recipe import exif, gain_map_image, photo, profile, segment


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image in a format."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture() -> Image.Image:
    """The test photo as pixels."""
    return Image.open(io.BytesIO(photo())).convert("RGB")


def decoded(jpeg: bytes) -> NDArray[np.int16]:
    """Pixels by Pillow alone."""
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), np.int16)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {"quality": 100}),
    ],
)
def test_other_formats_are_encoded_once(kind: str, options: dict[str, object]) -> None:
    opened = open_photo(saved(picture(), kind, icc_profile=profile(), **options))
    assert (opened.source_format, opened.width, opened.height) == (kind, *picture().size)
    assert "encoded once" in opened.notes[0]
    again = Image.open(io.BytesIO(opened.base_jpeg))
    assert again.info["icc_profile"] == profile() == opened.icc_profile
    assert np.abs(decoded(opened.base_jpeg) - np.asarray(picture(), np.int16)).mean() < 2


@pytest.mark.samples
def test_heic(samples: Path) -> None:
    opened = open_photo((samples / "iphone-2.heic").read_bytes())
    assert opened.source_format == "HEIF"
    assert opened.width * opened.height > 5_000_000
    assert decoded(opened.base_jpeg).std() > 10


def test_jpeg_is_left_alone() -> None:
    data = photo()[:2] + segment(0xE1, exif(6)) + photo()[2:]
    opened = open_photo(data)
    assert opened.base_jpeg is data
    assert (opened.orientation, opened.notes) == (6, ())


@pytest.mark.parametrize("kind", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_and_never_clipped(kind: str, channels: int) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    deep = np.repeat(ramp[None, :], 48, axis=0)
    coded = cv2.imencode(kind, deep if channels == 1 else np.stack([deep] * 3, axis=2))[1].tobytes()
    row = decoded(open_photo(coded).base_jpeg)[24, :, 0]
    assert np.abs(row - ramp / 257).max() <= 2
    assert row[32] < 140


def test_alpha_lies_over_white() -> None:
    clear = Image.new("RGBA", (64, 48), (255, 0, 0, 0))
    assert decoded(open_photo(saved(clear, "PNG")).base_jpeg).min() >= 253
    half = Image.new("LA", (64, 48), (0, 128))
    assert np.abs(decoded(open_photo(saved(half, "PNG")).base_jpeg) - 127).max() <= 2
    deep = np.zeros((48, 64, 4), np.uint16)
    coded = cv2.imencode(".png", deep)[1].tobytes()
    assert decoded(open_photo(coded).base_jpeg).min() >= 253


def test_grey_jpeg_becomes_colour() -> None:
    opened = open_photo(gain_map_image("L", (80, 54)))
    assert Image.open(io.BytesIO(opened.base_jpeg)).mode == "RGB"
    assert "YCbCr" in opened.notes[0]


def _png_header(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    data = zlib.compress(bytes(1000))
    idat = struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
    return b"\x89PNG\r\n\x1a\n" + chunk + idat


def _animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (32, 32), (i * 80, 0, 0)) for i in range(3)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"plain words", "unsupported_format"),
        (b"%PDF-1.7", "unsupported_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        (_png_header(60_000, 60_000), "too_many_pixels"),
        (_png_header(20_000, 6_000), "too_many_pixels"),
        (_png_header(2**31 - 1, 2**31 - 1), "too_many_pixels"),
        (_png_header(500, 500), "damaged"),
        (_animation("GIF"), "unsupported_format"),
        (_animation("WEBP"), "animated"),
        (_animation("PNG"), "animated"),
        (gain_map_image("CMYK", (80, 54)), "cmyk"),
        (photo()[:-300], "truncated"),
        (photo()[:200], "truncated"),
        (saved(picture(), "PNG")[:-4000], "damaged"),
        (saved(picture(), "TIFF")[:-4000], "damaged"),
        (saved(picture(), "WEBP")[:-400], "damaged"),
        (saved(picture(), "AVIF")[:-400], "damaged"),
    ],
)
def test_refusals(data: bytes, code: str) -> None:
    with pytest.raises(PhotoError) as caught:
        open_photo(data)
    assert caught.value.code == code, str(caught.value)
    assert str(caught.value)


def test_too_many_bytes() -> None:
    with pytest.raises(PhotoError) as caught:
        open_photo(photo() + bytes(MAX_BYTES))
    assert caught.value.code == "too_many_bytes"


_SEEDS = [
    photo(),
    saved(picture(), "PNG"),
    saved(picture(), "WEBP"),
    saved(picture(), "TIFF"),
    saved(picture(), "AVIF"),
]


@given(st.sampled_from(_SEEDS), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_a_photo_or_an_error(seed: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    try:
        opened = open_photo(bytes(data))
        assert upright_srgb(opened, (16, 16)).shape == (16, 16, 3)
    except PhotoError as error:
        assert error.code  # noqa: PT017


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_as_pillow_turns_it(orientation: int) -> None:
    data = photo()[:2] + segment(0xE1, exif(orientation)) + photo()[2:]
    theirs = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(upright_srgb(open_photo(data)), theirs)


@pytest.mark.parametrize(
    ("size", "side", "expected"), [((4000, 3000), 1024, (1024, 768)), ((300, 200), 1024, (300, 200))]
)
def test_fit_within(size: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    assert fit_within(*size, side) == expected


def test_memory_of_a_large_photo_is_bounded() -> None:
    """48 megapixels: the decoded bytes, and no floating-point copy of them."""
    script = """
        import io, resource, sys
        import numpy as np
        from PIL import Image
        from shared.imaging.decode import upright_srgb
        from shared.imaging.photo import open_photo
        ramp = np.linspace(0, 255, 8000).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(ramp[None, :, None] * np.ones((6000, 1, 3), np.uint8)).save(out, "JPEG")
        data = out.getvalue(); del out
        with open("/proc/self/clear_refs", "w") as f: f.write("5")
        def peak():
            return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1024
        before = peak()
        upright_srgb(open_photo(data), (1000, 750))
        print(peak() - before)
    """
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs Linux")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert float(done.stdout) < 400  # MiB; the pixels alone are 137
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0


def test_a_photo_just_below_the_limit_is_read_at_the_size_that_is_wanted() -> None:
    """Pillow's own limit lies at 89 megapixels; the decoder halves, so that no full-size copy is made."""
    grey = np.full((9_500, 10_400), 128, np.uint8)
    done, data = cv2.imencode(".jpg", cv2.merge([grey, grey, grey]))
    assert done

    picture = upright_srgb(open_photo(data.tobytes()), (2_600, 2_375))

    assert picture.shape == (2_375, 2_600, 3)
    assert np.abs(picture.astype(int) - 128).max() <= 1
