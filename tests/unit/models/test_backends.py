"""Every way to compute the shipped networks gives the same map; what is not installed falls back, and says so."""

import logging
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.registry import find_model
from shared.settings import Backend
from worker.predictors import make_predictor

SIZE = (192, 144)  # of the map, pixels


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    """A dusk with lamps, (288, 384, 3)."""
    y, x = np.mgrid[0:288, 0:384].astype(np.float32)
    sky = np.stack([200 - y / 2, 140 - y / 4, 90 + y / 4], 2)
    for left, top in ((60, 90), (200, 40), (310, 150)):
        sky += (255 * np.exp(-((x - left) ** 2 + (y - top) ** 2) / 200))[:, :, None]
    return np.asarray(np.clip(sky, 0, 255), np.uint8)


def stops(name: str, backend: Backend, image: NDArray[np.uint8], tmp_path: Path) -> NDArray[np.float32]:
    """A shipped model's map by one backend."""
    return make_predictor(find_model(name, tmp_path), 1, None, backend).predict(image, SIZE)


@pytest.mark.parametrize("name", ["compact", "gmnet"])
def test_eight_bits_stay_close_to_float(name: str, image: NDArray[np.uint8], tmp_path: Path) -> None:
    exact = stops(name, Backend.ONNXRUNTIME, image, tmp_path)
    coarse = stops(name, Backend.INT8, image, tmp_path)
    assert exact.max() > 0.3
    assert 0 < np.abs(coarse - exact).mean() < 0.05  # 0: the 8-bit graph was not what ran
    assert np.abs(coarse - exact).max() < 0.4


@pytest.mark.parametrize("name", ["compact", "gmnet"])
def test_openvino_agrees(name: str, image: NDArray[np.uint8], tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    native = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    exact = stops(name, Backend.ONNXRUNTIME, image, tmp_path)
    found = stops(name, Backend.OPENVINO, image, tmp_path)
    assert np.abs(found - exact).max() < (0.15 if native else 1e-3)


def test_what_is_not_installed_falls_back_with_a_warning(
    image: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # what Python itself puts there for a module that is not
    with caplog.at_level(logging.WARNING):
        found = stops("compact", Backend.OPENVINO, image, tmp_path)
    assert "openvino is not installed" in caplog.text
    assert np.array_equal(found, stops("compact", Backend.ONNXRUNTIME, image, tmp_path))


def test_threads_hold_for_filters_too(tmp_path: Path) -> None:
    before = cv2.getNumThreads()
    try:
        make_predictor(find_model("compact", tmp_path), 1)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)
