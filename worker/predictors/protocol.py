"""What every model offers."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Stops = NDArray[np.float32]


class Predictor(Protocol):
    """A model that is loaded and warm."""

    @property
    def name(self) -> str:
        """The model's name in the manifest."""

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """The size in pixels, (width, height), at which the model wants to see a photo of this size."""

    def predict(self, image: Image, size: tuple[int, int], seen: tuple[int, int] | None = None) -> Stops:
        """Predict the gain of a picture.

        Args:
            image: (H, W, 3) uint8, upright, sRGB, no smaller than `input_size` says.
            size: (width, height) of the wanted map.
            seen: what `input_size` said of the photo, where `image` is a smaller copy of it; a model that sees a share
                of the photo's sides would else take that share of the copy's.

        Returns:
            (height, width) float32, stops, 0 or more; the same values for the same input.
        """
