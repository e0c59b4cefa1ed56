"""Guided restoration on a picture whose truth is known: what was left alone, taken away, added, moved and regraded."""

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.errors import RestoreError
from shared.imaging.decode import decode_gain_map
from shared.imaging.encode import encode_gain_map
from shared.imaging.gain_map import log2_gain
from shared.options import MetadataOf, Options, WrongOriginal
from shared.registry import read_manifest, shipped_folder
from shared.ultrahdr import GainMapMetadata, assemble, parse
from shared.ultrahdr.segments import APP1, EXIF, walk
from tests.golden.recipe import exif, segment
from worker import pipeline
from worker.guided.confidence import Guided
from worker.predictors import Predictor, make_predictor

WIDTH, HEIGHT = 720, 480
PEAK = 3.0  # stops of a lamp
LAMPS = ((150, 120), (560, 330))  # x, y

Picture = NDArray[np.uint8]
Stops = NDArray[np.float32]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """The naive model, whose mistakes are plain: whatever is bright shines."""
    return make_predictor(read_manifest(shipped_folder())["naive"], threads=1)


def scene(seed: int, lamps: tuple[tuple[int, int], ...] = LAMPS) -> tuple[Picture, Stops]:
    """A textured room with lamps: the picture, and its true gain at its size."""
    rng = np.random.default_rng(seed)
    room = np.zeros((HEIGHT, WIDTH), np.float32)
    for size in (6, 12, 24, 60):
        grain = cv2.resize(rng.random((HEIGHT // size + 2, WIDTH // size + 2)).astype(np.float32), (WIDTH, HEIGHT))
        room += grain / 4
    colour = np.stack([room * 150 + 20, room * 130 + 25, room * 110 + 30], axis=2)
    gain = 0.4 + 0.3 * room
    for x, y in lamps:
        cv2.circle(colour, (x, y), 26, (255, 250, 235), -1)
        cv2.circle(gain, (x, y), 26, PEAK, -1)
    return np.asarray(colour, np.uint8), np.asarray(gain, np.float32)


def jpeg(picture: Picture, quality: int = 92, *, camera: bool = False) -> bytes:
    """A flat file; `camera`: with Exif."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    data = out.getvalue()
    return data[:2] + segment(0xE1, exif()) + data[2:] if camera else data


def hdr(picture: Picture, gain: Stops) -> bytes:
    """An original with its map at half size, headroom 3.5 and offsets of its own."""
    small = cv2.resize(gain, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    metadata = GainMapMetadata.from_floats(
        gain_map_min=0.0,
        gain_map_max=PEAK,
        gamma=1.0,
        base_offset=1e-3,
        alternate_offset=1e-3,
        base_hdr_headroom=0.0,
        alternate_hdr_headroom=3.5,
    )
    samples = np.asarray(small / PEAK * 255 + 0.5, np.uint8)
    return assemble(jpeg(picture, camera=True), encode_gain_map(samples, 95), metadata)


def restored(edit: Picture, original: bytes, predictor: Predictor, **options: object) -> tuple[Stops, Guided, bytes]:
    """What a reader of the finished file gets: its stops at the edit's size."""
    result = pipeline.restore(jpeg(edit), predictor, Options(**options), original=original)  # type: ignore[arg-type]
    assert result.guided is not None
    file = parse(result.data)
    assert file.gain_map is not None
    assert file.metadata is not None
    stops = log2_gain(decode_gain_map(file.gain_map), file.metadata)
    return np.asarray(cv2.resize(stops, edit.shape[1::-1]), np.float32), result.guided, result.data


def around(plane: Stops, place: tuple[int, int], radius: int = 18) -> Stops:
    x, y = place
    return plane[y - radius : y + radius, x - radius : x + radius]


def test_what_was_left_alone_is_given_back(predictor: Predictor) -> None:
    picture, gain = scene(1)
    stops, guided, data = restored(picture, hdr(picture, gain), predictor)
    assert np.abs(stops - gain).mean() < 0.05
    assert guided.transferred > 0.95  # the rim, where nothing can be compared, is predicted
    assert guided.confidence > 0.9
    metadata = parse(data).metadata
    assert isinstance(metadata, GainMapMetadata)
    assert float(metadata.alternate_hdr_headroom) == 3.5  # the original's, not the map's peak
    assert float(metadata.base_offset[0]) == 1e-3


@pytest.mark.parametrize("kind", ["crop", "mirror", "regrade", "half", "poor", "border"])
def test_what_editors_do_to_a_whole_photo(kind: str, predictor: Predictor) -> None:
    picture, gain = scene(2)
    original = hdr(picture, gain)
    truth, inside = gain, np.ones(gain.shape, bool)
    edit = picture
    if kind == "crop":
        edit, truth, inside = picture[40:430, 90:640], gain[40:430, 90:640], inside[40:430, 90:640]
    elif kind == "mirror":
        edit, truth = np.ascontiguousarray(picture[:, ::-1]), gain[:, ::-1]
    elif kind == "regrade":
        edit = np.asarray(255 * (picture / 255.0) ** np.array([0.8, 0.85, 0.95]), np.uint8)
    elif kind == "half":
        edit = np.asarray(cv2.resize(picture, (360, 240), interpolation=cv2.INTER_AREA), np.uint8)
        truth = np.asarray(cv2.resize(gain, (360, 240)), np.float32)
        inside = np.ones(truth.shape, bool)
    elif kind == "poor":
        edit = np.asarray(Image.open(io.BytesIO(jpeg(picture, 30))).convert("RGB"))
    else:
        edit = np.full((HEIGHT + 120, WIDTH + 160, 3), (70, 60, 50), np.uint8)
        edit[60:-60, 80:-80] = picture
        truth = np.pad(gain, ((60, 60), (80, 80)), constant_values=0.4)
        inside = np.zeros(truth.shape, bool)
        inside[80:-80, 100:-100] = True
    stops, guided, _ = restored(np.ascontiguousarray(edit), original, predictor)
    assert np.abs(stops - truth)[inside].mean() < 0.1
    assert guided.alignment is not None
    assert guided.alignment.mirrored == (kind == "mirror")


def test_a_lamp_that_was_removed_leaves_no_glow_and_one_that_was_added_glows(predictor: Predictor) -> None:
    picture, gain = scene(3)
    without, _ = scene(3, lamps=LAMPS[1:])
    added = (370, 120)
    edit = without.copy()
    cv2.circle(edit, added, 26, (255, 250, 235), -1)
    stops, guided, _ = restored(edit, hdr(picture, gain), predictor)
    assert around(stops, LAMPS[0]).mean() < 1.0  # the room's own gain is 0.55, the lamp's was 3
    assert around(stops, added, 12).mean() > 1.5
    assert around(stops, LAMPS[1], 12).mean() > 2.7
    assert 0.85 < guided.transferred < 0.995


def test_a_seam_is_not_to_be_seen(predictor: Predictor) -> None:
    picture, gain = scene(4)
    edit = picture.copy()
    edit[200:360, 60:300] = scene(40)[0][200:360, 60:300]
    stops, _, _ = restored(edit, hdr(picture, gain), predictor)
    columns = np.abs(np.diff(stops, axis=1)).mean(axis=0)
    rim = columns[[58, 59, 60, 61, 298, 299, 300, 301]].max()
    assert rim < 3 * np.median(columns)


@pytest.mark.parametrize("seed", range(6))
def test_another_photo_is_refused(seed: int, predictor: Predictor) -> None:
    other, gain = scene(100 + seed)
    edit, _ = scene(200 + seed, lamps=())
    with pytest.raises(RestoreError, match="not a picture of this edit") as caught:
        restored(edit, hdr(other, gain), predictor)
    assert caught.value.code == "wrong_original"
    alone = pipeline.restore(jpeg(edit), predictor, Options())
    _, guided, data = restored(edit, hdr(other, gain), predictor, on_wrong_original=WrongOriginal.UNGUIDED)
    assert data == alone.data  # never a ghost
    assert guided.reason is not None
    assert (guided.transferred, guided.confidence) == (0.0, 0.0)


def test_a_photo_that_was_relit_goes_by_the_network_alone(predictor: Predictor) -> None:
    picture, gain = scene(5)
    edit = picture.copy()
    edit[:, 260:] = scene(50)[0][:, 260:]
    edit[:, 260:] = 255 - edit[:, 260:]
    _, guided, data = restored(edit, hdr(picture, gain), predictor)
    assert guided.reason is not None
    assert "relit" in guided.reason
    assert data == pipeline.restore(jpeg(edit), predictor, Options()).data


def test_too_little_confidence_is_refused(predictor: Predictor) -> None:
    picture, gain = scene(6)
    edit = np.asarray(Image.open(io.BytesIO(jpeg(picture, 30))).convert("RGB"))
    with pytest.raises(RestoreError) as caught:
        restored(edit, hdr(picture, gain), predictor, min_confidence=0.9999)
    assert caught.value.code == "low_confidence"


def test_an_original_without_a_map_is_said_to_have_none(predictor: Predictor) -> None:
    picture, _ = scene(7)
    with pytest.raises(RestoreError) as caught:
        pipeline.restore(jpeg(picture), predictor, Options(), original=jpeg(picture))
    assert caught.value.code == "no_gain_map"


def test_camera_data_comes_along_when_asked(predictor: Predictor) -> None:
    picture, gain = scene(8)
    original = hdr(picture, gain)
    _, _, plain = restored(picture, original, predictor)
    assert walk(plain).first(APP1, EXIF) is None
    _, _, data = restored(picture, original, predictor, metadata=MetadataOf.ORIGINAL)
    taken, given = walk(data).first(APP1, EXIF), walk(original).first(APP1, EXIF)
    assert taken is not None
    assert given is not None
    assert len(taken.payload) == len(given.payload)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(jpeg(picture)))))
