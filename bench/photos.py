"""Photos of given sizes, rendered here: smooth light, edges and grain, so that a JPEG has a photo's bytes."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIDES: Final = (4, 3)  # width to height
QUALITY: Final = 90
GRAIN: Final = 5.0  # standard deviation, levels of 255


def render(megapixels: float) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR of that many megapixels: a sky with a sun over houses with lit windows."""
    unit = (megapixels * 1e6 / (SIDES[0] * SIDES[1])) ** 0.5
    width, height = round(SIDES[0] * unit), round(SIDES[1] * unit)
    rng = np.random.default_rng(7)
    small = np.zeros((384, 512, 3), np.float32)
    v, u = np.mgrid[0:384, 0:512].astype(np.float32) / 384
    small[:] = (np.stack([0.9 - 0.5 * v, 0.7 - 0.3 * v, 0.55 - 0.1 * v], 2)) * 200
    small += (300 * np.exp(-(((u - 0.9) ** 2 + (v - 0.3) ** 2) / 0.004)))[:, :, None]
    for _ in range(160):
        left, top = int(rng.integers(0, 500)), int(rng.integers(200, 370))
        wide, high = int(rng.integers(4, 60)), int(rng.integers(4, 60))
        bright = rng.uniform(5, 120) if rng.random() < 0.8 else 250.0
        small[top : top + high, left : left + wide] = bright * rng.uniform(0.8, 1.0, 3)
    picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    # In strips: 100 megapixels of float grain would take gigabytes.
    out = np.empty((height, width, 3), np.uint8)
    for row in range(0, height, 256):
        part = picture[row : row + 256]
        out[row : row + 256] = np.clip(part + rng.normal(0, GRAIN, part.shape), 0, 255).astype(np.uint8)
    return out


def photo_of(megapixels: float, folder: Path) -> Path:
    """The JPEG of that size; made once."""
    path = folder / f"{megapixels:g}mp.jpg"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), render(megapixels), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
            raise OSError(f"{path}: could not be written")
    return path
