"""The naive luminance stretch: what one writes before having a model; kept for comparison."""

import cv2
import numpy as np

from shared.registry import Model
from worker.predictors.protocol import Image, Stops

KNEE = 0.5  # luma in 0..1: nothing below gains


class NaivePredictor:
    """Stops rise linearly with luma from the knee to white."""

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self._peak = model.peak

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """See `Predictor.input_size`: it needs no more than the map's own pixels."""
        return min(width, 1), min(height, 1)

    def predict(self, image: Image, size: tuple[int, int], seen: tuple[int, int] | None = None) -> Stops:  # noqa: ARG002
        """See `Predictor.predict`."""
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
        return np.asarray(np.clip((luma - KNEE) / (1 - KNEE), 0, 1) * self._peak, np.float32)
