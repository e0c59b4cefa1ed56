"""The weights that ship: they load by their hashes, and do nothing foolish with simple scenes."""

import numpy as np
import pytest

from models.scenes import night, paper, read, sky, window
from shared.registry import ModelKind, read_manifest, shipped_folder
from worker.predictors import Predictor, make_predictor

SHIPPED = [model for model in read_manifest(shipped_folder()).values() if model.kind is not ModelKind.NAIVE]


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda model: model.name)
def predictor(request: pytest.FixtureRequest) -> Predictor:
    """Each shipped network."""
    return make_predictor(request.param, threads=1)


def test_there_is_one_default() -> None:
    assert [model.name for model in SHIPPED if model.default] == [next(m.name for m in SHIPPED if m.default)]
    assert {model.name for model in SHIPPED} == {"gmnet", "compact"}


def test_every_file_is_what_the_manifest_says() -> None:
    for model in SHIPPED:
        assert all(model.verified(role).is_file() for role in model.files)


def test_lamps_shine_and_the_dark_does_not(predictor: Predictor) -> None:
    reading = read(predictor, night)
    assert reading.lit > 5 * reading.rest
    assert reading.around < 0.5 * reading.lit
    assert reading.rest < 0.1


def test_a_window_shines_more_than_its_wall(predictor: Predictor) -> None:
    reading = read(predictor, window)
    assert reading.lit > 3 * max(reading.rest, reading.around)


def test_skies_and_paper_have_no_bands(predictor: Predictor) -> None:
    for scene in (sky, paper):
        assert read(predictor, scene).rest < 0.8
    assert read(predictor, sky).step < 0.05


def test_a_crop_by_one_pixel_changes_little(predictor: Predictor) -> None:
    """No flicker: the map of a picture and of the same picture shifted agree."""
    image = window()[0]
    first = predictor.predict(image, (640, 480))
    second = predictor.predict(np.ascontiguousarray(image[:, 2:]), (639, 480))
    assert np.abs(first[:, 1:] - second).mean() < 0.03
