"""The compact model: curves from a small copy of the whole picture, sliced by the picture itself."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.imaging.decode import fit_within
from shared.registry import Model
from shared.settings import Backend
from worker.predictors.graph import open_graph, planes
from worker.predictors.protocol import Image, Stops

MULTIPLE = 32  # pixels: the encoder halves five times
BEND = 1.5  # the training's: knots lie closer together near white
# The photo's noise and JPEG blocks are no light; its edges are. Both cost bytes in the stored map.
WINDOW, TONE, SPREAD = 7, 15.0, 2.5  # of the bilateral filter: pixels, levels of 255, pixels
SMOOTHING = 1.1  # pixels of the map
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709, on gamma-encoded values as in training


class CompactPredictor:
    """Runs a compact export; thread-safe, as graphs are."""

    def __init__(
        self, model: Model, threads: int, long_side: int | None, backend: Backend = Backend.ONNXRUNTIME
    ) -> None:
        self.name = model.name
        self._peak = model.peak
        self._long_side = long_side or model.long_side
        self._curves = open_graph(model, "curves", threads, backend)

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """See `Predictor.input_size`."""
        return fit_within(width, height, self._long_side)

    def predict(self, image: Image, size: tuple[int, int], seen: tuple[int, int] | None = None) -> Stops:  # noqa: ARG002
        """See `Predictor.predict`."""
        curves = self._curves.run({"image": planes(small_copy(image, self._long_side))})[0][0]
        picture = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        calm = np.asarray(cv2.bilateralFilter(guide_of(picture), WINDOW, TONE, SPREAD), np.uint8)
        share = cv2.GaussianBlur(sliced(calm, curves), (0, 0), SMOOTHING)
        return np.clip(share, 0.0, 1.0) * np.float32(self._peak)


def small_copy(image: Image, long_side: int) -> Image:
    """The whole picture at the network's size: each side the nearest multiple of MULTIPLE, two of them at least."""
    scale = long_side / max(image.shape[:2])
    height, width = (MULTIPLE * max(2, round(length * scale / MULTIPLE)) for length in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def guide_of(image: Image) -> Image:
    """(H, W, 3) uint8 sRGB -> (H, W) uint8: halfway between luma and the brightest channel."""
    red, green, blue = cv2.split(image)
    brightest = cv2.max(cv2.max(red, green), blue)
    return np.asarray(cv2.addWeighted(cv2.transform(image, LUMA[None]), 0.5, brightest, 0.5, 0.0), np.uint8)


def sliced(guide: Image, curves: NDArray[np.float32]) -> Stops:
    """Pick each pixel's point on its place's curve: (H, W) uint8 and (knots, h, w) -> (H, W) shares of the peak.

    One knot's plane at a time, so that memory does not grow with the number of knots.
    """
    height, width = guide.shape
    levels = (np.arange(256, dtype=np.float32) / np.float32(255)) ** np.float32(BEND) * np.float32(len(curves) - 1)
    out = np.zeros((height, width), np.float32)
    for knot, coarse in enumerate(curves):
        hat = np.maximum(1 - np.abs(levels - np.float32(knot)), np.float32(0))
        plane = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.accumulateProduct(plane, cv2.LUT(guide, hat), out)
    return out
