"""Guided restoration of the one real pair at hand, and of every kind of original that phones and editors write."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.imaging.decode import decode_gain_map
from shared.imaging.gain_map import log2_gain
from shared.imaging.original import read_original
from shared.options import MetadataOf, Options
from shared.registry import read_manifest, shipped_folder
from shared.ultrahdr import GainMapMetadata, parse
from tests.readers.check import Readers
from worker import pipeline
from worker.predictors import Predictor, make_predictor

# Found once with SIFT, by another program: where the original's pixels lie in the edit.
SCALE, SHIFT = 1.156, (-11.9, -0.1)
UNEDITED = 0.25  # stops of luminance: less is no edit
ORIGINALS = {
    "apple_gainmap_new.jpg": 1,
    "apple_gainmap_old.jpg": 1,
    "iphone-2.heic": 1,
    "iphone-original.jpg": 1,
    "iphone-tmap.heic": 1,
    "libvips-ultrahdr.jpg": 1,
    "lightroom-multichannel.jpg": 3,
    "pixel-12mp.jpg": 1,
    "ultrahdr-iso-xmp.jpg": 1,
}

pytestmark = pytest.mark.samples


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """The shipped default."""
    return make_predictor(next(m for m in read_manifest(shipped_folder()).values() if m.default), threads=2)


@pytest.fixture(scope="module")
def real(samples: Path, predictor: Predictor) -> pipeline.Result:
    """The real pair's result, with the original's camera data."""
    return pipeline.restore(
        (samples / "ai-edit.jpg").read_bytes(),
        predictor,
        Options(metadata=MetadataOf.ORIGINAL),
        original=(samples / "iphone-original.jpg").read_bytes(),
    )


def test_the_real_pair(real: pipeline.Result, samples: Path) -> None:
    assert real.guided is not None
    assert real.guided.transferred >= 0.80
    assert real.guided.expected_error_stops is not None
    assert real.guided.expected_error_stops < 0.05
    file = parse(real.data)
    assert file.gain_map is not None
    assert isinstance(file.metadata, GainMapMetadata)
    stops = log2_gain(decode_gain_map(file.gain_map), file.metadata)
    with Image.open(samples / "ai-edit.jpg") as image:
        edit = np.asarray(image.convert("RGB"))
    original = read_original((samples / "iphone-original.jpg").read_bytes(), long_side=100_000)
    apart = np.abs(stops - laid_over(original.stops, original.picture.shape, edit, stops.shape))
    before = laid_over(original.picture.astype(np.float32), original.picture.shape, edit, stops.shape)
    after = cv2.resize(edit, stops.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    changed = np.abs(np.log2((light(after) + 0.02) / (light(before) + 0.02))) > UNEDITED
    left_alone = ~cv2.dilate(changed.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    left_alone[:, :6] = left_alone[:, -6:] = False
    assert left_alone.mean() > 0.4
    assert apart[left_alone].mean() <= 0.03


def test_the_real_pair_is_hdr_to_every_reader(real: pipeline.Result, readers: Readers) -> None:
    assert real.metadata is not None
    readers.assert_hdr(real.data, real.metadata)


def test_the_camera_data_are_the_originals(real: pipeline.Result, readers: Readers, samples: Path) -> None:
    before = readers.exiftool.tags((samples / "iphone-original.jpg").read_bytes())
    after = readers.exiftool.tags(real.data)
    for name in ("ExifIFD:DateTimeOriginal", "IFD0:Make", "IFD0:Model", "ExifIFD:LensModel", "ExifIFD:ExposureTime"):
        if name in before:
            assert after[name] == before[name]
    assert [name for name in before if name.startswith("GPS:") and after.get(name) != before[name]] == []
    assert after.get("IFD0:Orientation", 1) in (1, "Horizontal (normal)")


@pytest.mark.parametrize("name", ORIGINALS)
def test_every_kind_of_original(name: str, samples: Path, predictor: Predictor) -> None:
    """The original's own picture as a flat file: what comes back is its map."""
    if name.endswith("heic"):
        pytest.importorskip("pillow_heif")
    data = (samples / name).read_bytes()
    original = read_original(data)
    assert original.channels == ORIGINALS[name]
    out = io.BytesIO()
    Image.fromarray(original.picture).save(out, "JPEG", quality=92)
    result = pipeline.restore(out.getvalue(), predictor, Options(), original=data)
    assert result.guided is not None
    assert result.guided.transferred > 0.9  # the rim is predicted: wide in a picture of 384 pixels
    file = parse(result.data)
    assert file.gain_map is not None
    assert isinstance(file.metadata, GainMapMetadata)
    stops = log2_gain(decode_gain_map(file.gain_map), file.metadata)
    truth = cv2.resize(original.stops, stops.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert stops.ndim == truth.ndim
    assert np.abs(stops - truth).mean() < 0.05


@pytest.mark.chromium
@pytest.mark.parametrize("name", ["apple_gainmap_new.jpg", "apple_gainmap_old.jpg"])
def test_apples_formula_is_what_chromium_renders(name: str, samples: Path, readers: Readers) -> None:
    data = (samples / name).read_bytes()
    original = read_original(data, long_side=100_000)
    shown, base = readers.chromium.render(data, 12.0), readers.chromium.render(data, 0.0)
    height, width = base.shape[:2]
    stops = cv2.resize(original.stops, (width, height), interpolation=cv2.INTER_LINEAR)
    bright = base[:, :, 1] > 0.05
    gain = np.log2(shown[:, :, 1][bright] / base[:, :, 1][bright])
    assert float(np.median(np.abs(gain - stops[bright]))) < 0.02
    assert float(np.quantile(np.abs(gain - stops[bright]), 0.99)) < 0.2


def laid_over(plane: np.ndarray, picture: tuple[int, ...], edit: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A plane of the original at any size, in the edit's frame, at the map's size."""
    x, y = picture[1] / plane.shape[1], picture[0] / plane.shape[0]
    matrix = np.array([[SCALE * x, 0, SHIFT[0]], [0, SCALE * y, SHIFT[1]]])
    size = (edit.shape[1], edit.shape[0])
    there = cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(there, shape[1::-1], interpolation=cv2.INTER_AREA))


def light(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) sRGB 0..255 -> linear luminance, by a plain power."""
    return np.asarray((picture / 255) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722]))
