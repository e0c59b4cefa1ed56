"""GMNet in two graphs: the global one once a photo, the local one over tiles where the input is large."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from shared.imaging.decode import fit_within
from shared.imaging.upsample import guided_upsample
from shared.registry import Model
from worker.predictors.engine import Engine
from worker.predictors.graph import planes
from worker.predictors.protocol import Image, Stops

THUMBNAIL = 256  # pixels per side, the network's definition
TILE = 1024  # pixels: longest side of one inference
HALO = 76  # pixels: the exact receptive field; with 72 the seams are no longer bit-identical
GUIDE_RADIUS = 4  # pixels of the network's own grid
GUIDE_EPSILON = 1e-3  # of luma in 0..1, squared


@dataclass(frozen=True, slots=True)
class Tile:
    """One span of an axis: what is computed, [start, stop), and what of it is kept, [keep_from, keep_to)."""

    start: int
    stop: int
    keep_from: int
    keep_to: int


def spans(length: int, tile: int = TILE, halo: int = HALO) -> Iterator[Tile]:
    """Cut an axis of an even length into spans of at most `tile` kept pixels, each with its halo."""
    for keep_from in range(0, length, tile):
        keep_to = min(keep_from + tile, length)
        yield Tile(max(0, keep_from - halo), min(length, keep_to + halo), keep_from, keep_to)


class GMNetPredictor:
    """Runs a GMNet; thread-safe where its engine is."""

    def __init__(self, model: Model, engine: Engine, long_side: int | None) -> None:
        self.name = model.name
        self._peak = model.peak
        self._scale = model.scale if long_side is None else None
        self._long_side = long_side or model.long_side
        self._engine = engine

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """See `Predictor.input_size`: a share of the photo, or a fixed long side, never enlarged."""
        if self._scale is not None:
            return max(1, round(width * self._scale)), max(1, round(height * self._scale))
        return fit_within(width, height, self._long_side)

    def predict(self, image: Image, size: tuple[int, int], seen: tuple[int, int] | None = None) -> Stops:
        """See `Predictor.predict`."""
        height, width = image.shape[:2]
        net_width, net_height = seen or self.input_size(width, height)
        small = cv2.resize(image, (net_width, net_height), interpolation=cv2.INTER_AREA)
        stops = self.network(np.asarray(small, np.uint8))
        if size == (net_width, net_height):
            return stops
        guide = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        return guided_upsample(stops, np.asarray(guide, np.uint8), GUIDE_RADIUS, GUIDE_EPSILON)

    def network(self, image: Image) -> Stops:
        """Stops (h, w) at the size of `image` (h, w, 3), by the model's law."""
        out, qmax = self.normalised(image)
        return np.asarray(np.clip(out * np.float32(qmax), 0.0, 1.0) * np.float32(self._peak), np.float32)

    def normalised(self, image: Image, tile: int = TILE) -> tuple[Stops, float]:
        """The network's own outputs for `image` (h, w, 3): the normalised map (h, w) and qmax."""
        height, width = image.shape[:2]
        kernel, attention, qmax = self._engine.global_branch(planes(thumbnail_of(image)))
        # The first convolution halves the picture: odd sides are repeated to even ones.
        even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        out = np.empty(even.shape[:2], np.float32)
        for row in spans(even.shape[0], tile):
            for column in spans(even.shape[1], tile):
                part = even[row.start : row.stop, column.start : column.stop]
                found = self._engine.local_branch(planes(part), kernel, attention)[0, 0]
                out[row.keep_from : row.keep_to, column.keep_from : column.keep_to] = found[
                    row.keep_from - row.start : row.keep_to - row.start,
                    column.keep_from - column.start : column.keep_to - column.start,
                ]
        return out[:height, :width], float(qmax.item())


def thumbnail_of(image: Image) -> Image:
    """The whole picture squeezed into THUMBNAIL x THUMBNAIL, averaged."""
    return np.asarray(cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), np.uint8)
