"""The algebra against libultrahdr and Chromium, and the two-way street between stops and samples."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.imaging.colour import linear_to_srgb, luminance, srgb_to_linear, to_srgb
from shared.imaging.decode import decode_gain_map
from shared.imaging.encode import encode_gain_map
from shared.imaging.gain_map import apply, log2_gain, recovery, weight
from shared.imaging.orientation import to_stored, to_upright
from shared.imaging.upsample import guided_upsample
from shared.ultrahdr import AppleGainMap, GainMapMetadata, parse
from tests.readers.chromium import Chromium
from tests.readers.external import libultrahdr

METADATA = GainMapMetadata.from_floats(
    gain_map_min=-0.5, gain_map_max=2.5, gamma=0.8, base_offset=1 / 64, alternate_offset=1 / 64,
    base_hdr_headroom=0.5, alternate_hdr_headroom=2.5,
)  # fmt: skip


@pytest.mark.samples
@pytest.mark.parametrize("name", ["ultrahdr-iso-xmp.jpg", "libvips-ultrahdr.jpg"])
def test_renders_what_libultrahdr_renders(name: str, samples: Path) -> None:
    data = (samples / name).read_bytes()
    theirs = libultrahdr(data)
    file = parse(data)
    assert theirs is not None
    assert file.gain_map is not None
    assert file.metadata is not None
    with Image.open(io.BytesIO(data)) as image:
        base = srgb_to_linear(np.asarray(image.convert("RGB"), np.float32) / 255)
    stops = log2_gain(decode_gain_map(file.gain_map), file.metadata)
    stops = np.asarray(cv2.resize(stops, base.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    ours = apply(base, stops, file.metadata, 12.0)
    both = (luminance(ours), luminance(theirs))
    lit = both[1] > 0.02
    apart = np.abs(np.log2(np.maximum(both[0][lit], 1e-3) / both[1][lit]))
    assert float(np.median(apart)) < 0.03  # stops


@pytest.mark.samples
@pytest.mark.chromium
@pytest.mark.parametrize("name", ["apple_gainmap_new.jpg", "apple_gainmap_old.jpg"])
def test_apples_formula_is_what_chromium_renders(name: str, samples: Path, chromium: Chromium) -> None:
    """By the gain, pixel by pixel, so that the base's profile plays no part."""
    data = (samples / name).read_bytes()
    file = parse(data)
    assert file.gain_map is not None
    assert isinstance(file.metadata, AppleGainMap)
    base, full = (luminance(chromium.render(data, headroom)) for headroom in (0.0, 12.0))
    stops = log2_gain(decode_gain_map(file.gain_map), file.metadata)
    stops = np.asarray(cv2.resize(stops, base.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    lit = (base > 0.05) & (base < 0.9)
    apart = np.abs(np.log2(full[lit] / base[lit]) - stops[lit])
    assert float(np.median(apart)) < 0.03
    assert float(stops.max()) > 0.5


def test_stops_survive_the_way_through_samples() -> None:
    stops = np.linspace(-0.5, 2.5, 600, dtype=np.float32).reshape(20, 30)
    back = log2_gain(recovery(stops, METADATA), METADATA)
    assert np.abs(back - stops).max() < 3 / 255


def test_three_channels_apply_each_to_its_own() -> None:
    three = GainMapMetadata.from_floats(
        gain_map_min=0, gain_map_max=[1, 2, 3], gamma=1, base_offset=0, alternate_offset=0,
        base_hdr_headroom=0, alternate_hdr_headroom=3,
    )  # fmt: skip
    for samples in (np.full((4, 4), 255, np.uint8), np.full((4, 4, 3), 255, np.uint8)):
        assert log2_gain(samples, three)[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("headroom", "expected"), [(0.0, 0.0), (0.5, 0.0), (1.5, 0.5), (2.5, 1.0), (9.0, 1.0)])
def test_weight(headroom: float, expected: float) -> None:
    assert weight(headroom, METADATA) == pytest.approx(expected)


def test_apply_is_the_standards_formula() -> None:
    base, stops = np.full((1, 1, 3), 0.5, np.float32), np.full((1, 1), 2.0, np.float32)
    assert apply(base, stops, METADATA, 9.0)[0, 0, 0] == pytest.approx((0.5 + 1 / 64) * 4 - 1 / 64, rel=1e-6)
    assert apply(base, stops, METADATA, 0.0)[0, 0, 0] == pytest.approx(0.5, rel=1e-6)


def test_srgb_curve_by_its_known_points() -> None:
    encoded = np.array([0, 0.04045, 0.5, 1], np.float32)
    assert srgb_to_linear(encoded) == pytest.approx([0, 0.0031308, 0.2140411, 1], abs=1e-6)
    assert linear_to_srgb(srgb_to_linear(encoded)) == pytest.approx(encoded, abs=1e-6)


@pytest.mark.samples
def test_display_p3_becomes_srgb_by_the_matrix(samples: Path) -> None:
    """Display P3 to sRGB by the published primaries, against the colour engine."""
    with Image.open(samples / "sdr-display-p3.jpg") as image:
        icc, pixels = image.info["icc_profile"], np.asarray(image.convert("RGB"), np.uint8)
    matrix = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    linear = srgb_to_linear(pixels.astype(np.float32) / 255) @ matrix.T
    expected = linear_to_srgb(np.clip(linear, 0, 1).astype(np.float32)) * 255
    found = to_srgb(pixels, icc).astype(np.float32)
    assert np.abs(found - expected).mean() < 1.0
    assert np.abs(found - pixels).max() > 5


def test_a_profile_that_cannot_be_read_means_srgb() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert np.array_equal(to_srgb(pixels, b"no profile"), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_there_and_back(orientation: int) -> None:
    for array in (np.arange(12).reshape(3, 4), np.arange(36).reshape(3, 4, 3)):
        assert np.array_equal(to_stored(to_upright(array, orientation), orientation), array)


def test_map_encoding_is_grey_baseline_and_bare() -> None:
    samples = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    jpeg = encode_gain_map(samples)
    assert encode_gain_map(samples) == jpeg
    assert b"\xff\xc0" in jpeg
    assert b"Exif" not in jpeg
    assert np.abs(decode_gain_map(jpeg).astype(int) - samples).max() <= 6


def test_upsampling_keeps_edges_and_adds_no_halo() -> None:
    guide = np.zeros((160, 240), np.uint8)
    guide[:, 121:] = 230  # off the small map's grid
    small = np.asarray(np.asarray(cv2.resize(guide, (60, 40), interpolation=cv2.INTER_AREA)) / 115, np.float32)
    out = guided_upsample(small, guide, 3, 1e-4)
    assert out.min() >= small.min() - 1e-6
    assert out.max() <= small.max() + 1e-6
    plain = np.asarray(cv2.resize(small, (240, 160), interpolation=cv2.INTER_LINEAR), np.float32)
    truth = np.where(guide > 0, 2.0, 0.0)
    assert np.abs(out - truth).mean() < 0.5 * np.abs(plain - truth).mean()


def test_upsampling_leaves_a_constant_alone() -> None:
    rng = np.random.default_rng(1)
    guide = rng.integers(0, 256, (90, 120)).astype(np.uint8)
    assert guided_upsample(np.full((30, 40), 1.25, np.float32), guide, 4, 1e-3) == pytest.approx(1.25, abs=1e-3)
