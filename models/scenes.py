"""What the default model does with four rendered scenes: `python -m models.scenes`.

A sky, lamps at night, a window in a room and white paper: where a map goes wrong, it goes wrong there first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from shared.registry import find_model
from shared.settings import load_settings
from worker.predictors import Predictor, make_predictor

SIZE: Final = (960, 1280)  # pixels, (height, width)
NEAR: Final = 24  # pixels around what shines, in which a halo would lie

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reading:
    """Stops in one scene: over what should shine, just around it, and over the rest; the largest step between rows."""

    scene: str
    lit: float
    around: float
    rest: float
    step: float


def _grid() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    return y / SIZE[0], x / SIZE[1]


def sky() -> tuple[Image, Mask]:
    """A clear sky, brighter towards the horizon; nothing in it is a source of light."""
    v, _ = _grid()
    pixels = np.stack([90 + 110 * v, 140 + 85 * v, 215 + 30 * v], axis=2)
    return np.asarray(pixels, np.uint8), np.zeros(SIZE, np.bool_)


def night() -> tuple[Image, Mask]:
    """Lamps on a dark street, each with its glow."""
    v, u = _grid()
    light, lit = np.full(SIZE, 0.004, np.float32), np.zeros(SIZE, np.bool_)
    for row, column in ((0.3, 0.2), (0.35, 0.5), (0.28, 0.8)):
        distance = np.hypot(u - column, (v - row) * SIZE[0] / SIZE[1])
        light += np.exp(-((distance / 0.02) ** 2)) * 4 + 0.06 * np.exp(-distance / 0.06)
        lit |= distance < 0.02
    encoded = 255 * np.clip(light, 0, 1)[:, :, None] ** (1 / 2.2) * np.array([1, 0.9, 0.72])
    return np.asarray(encoded, np.uint8), lit


def window() -> tuple[Image, Mask]:
    """A grey room with a clipped window."""
    v, u = _grid()
    lit = (
        (np.abs(u - 0.6) < 0.15) & (np.abs(v - 0.45) < 0.22) & ~(np.abs(u - 0.6) < 0.006) & ~(np.abs(v - 0.45) < 0.008)
    )
    wall = 70 + 50 * np.exp(-(((u - 0.6) ** 2 + (v - 0.5) ** 2) / 0.1))
    pixels = np.where(lit, 254, wall)[:, :, None] * np.array([1, 0.99, 0.96])
    return np.asarray(pixels, np.uint8), lit


def paper() -> tuple[Image, Mask]:
    """White paper with lines of text on a table: bright, and no source of light."""
    v, u = _grid()
    sheet = (np.abs(u - 0.5) < 0.3) & (np.abs(v - 0.5) < 0.42)
    text = sheet & ((v * 40) % 1 < 0.35) & ((u * 90 + np.floor(v * 40) * 7) % 1 < 0.6) & (np.abs(u - 0.5) < 0.25)
    pixels = np.where(sheet, 236, 96)[:, :, None] * np.array([1, 0.98, 0.94])
    pixels[text] = 40
    return np.asarray(pixels, np.uint8), np.zeros(SIZE, np.bool_)


SCENES: Final[tuple[Callable[[], tuple[Image, Mask]], ...]] = (sky, night, window, paper)


def read(predictor: Predictor, scene: Callable[[], tuple[Image, Mask]]) -> Reading:
    """Predict one scene at a quarter of its size's pixels and measure the map."""
    image, lit = scene()
    size = (SIZE[1] // 2, SIZE[0] // 2)
    stops = predictor.predict(image, size)
    small = np.asarray(cv2.resize(lit.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST), np.bool_)
    ring = np.asarray(cv2.dilate(small.astype(np.uint8), np.ones((NEAR, NEAR), np.uint8)), np.bool_)
    edge = np.asarray(cv2.dilate(small.astype(np.uint8), np.ones((7, 7), np.uint8)), np.bool_)
    around, rest = ring & ~edge, ~ring
    steps = np.abs(np.diff(np.median(stops, axis=1)))
    return Reading(
        scene.__name__,
        lit=float(stops[small].mean()) if small.any() else 0.0,
        around=float(stops[around].mean()) if around.any() else 0.0,
        rest=float(stops[rest].mean()),
        step=float(steps.max()),
    )


def main() -> None:
    """Print the table."""
    settings = load_settings()
    model = find_model(settings.model, settings.models_dir)
    predictor = make_predictor(model, settings.threads, settings.network_long_side, settings.backend)
    table = Table("scene", "shines, stops", "around it", "the rest", "largest step", title=model.name)
    for reading in (read(predictor, scene) for scene in SCENES):
        table.add_row(
            reading.scene, *(f"{value:.3f}" for value in (reading.lit, reading.around, reading.rest, reading.step))
        )
    Console().print(table)


if __name__ == "__main__":
    main()
