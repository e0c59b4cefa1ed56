"""What happens to photos between a camera and us: crops, flips, and what AI editors do to pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Map = NDArray[np.float32]


def crop(sdr: Image, target: Map, size: tuple[int, int], rng: np.random.Generator, least: float) -> tuple[Image, Map]:
    """Cut at least `least` of each side, mirror by chance, and resize to `size` (width, height).

    Photo and map may differ in size: both are cut at the same shares of their sides.
    """
    across, down = rng.uniform(least, 1, 2)
    left, top = rng.uniform(0, 1 - across), rng.uniform(0, 1 - down)
    mirror, upside_down = rng.random() < 0.5, rng.random() < 0.1

    def cut(plane: NDArray[np.generic]) -> NDArray[np.generic]:
        height, width = plane.shape[:2]
        part = plane[
            round(top * height) : round((top + down) * height), round(left * width) : round((left + across) * width)
        ]
        part = part[:, ::-1] if mirror else part
        part = part[::-1] if upside_down else part
        return cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)

    return cut(sdr).astype(np.uint8), cut(target).astype(np.float32)


def regrade(sdr: Image, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """Exposure, white balance, contrast and saturation change, mild at a strength of 1.

    A stronger regrade also hides which camera took the picture, which a network would else learn by heart.
    """
    x = np.linspace(0, 1, 256, dtype=np.float32)
    exposure = 2 ** rng.normal(0, 0.12 * min(strength, 1.5))
    balance = 2 ** rng.normal(0, 0.05 * strength, 3)
    contrast = 1 + rng.normal(0, 0.08 * strength)
    tables = [np.clip((np.clip(x * exposure * b, 0, 1) - 0.5) * contrast + 0.5, 0, 1) for b in balance]
    out = np.stack([cv2.LUT(sdr[:, :, c], (t * 255 + 0.5).astype(np.uint8)) for c, t in enumerate(tables)], 2)
    if rng.random() < 0.5:
        grey = out.mean(2, keepdims=True)
        out = np.clip(grey + (out - grey) * np.clip(rng.normal(1, 0.17 * strength), 0, 1.8), 0, 255)
    return np.asarray(out, np.uint8)


def editor(sdr: Image, rng: np.random.Generator) -> Image:
    """Resampling, smoothing, sharpening and JPEG compression, each by chance."""
    height, width = sdr.shape[:2]
    if rng.random() < 0.3:
        factor = rng.uniform(0.4, 0.9)
        small = cv2.resize(
            sdr, (max(8, int(width * factor)), max(8, int(height * factor))), interpolation=cv2.INTER_AREA
        )
        sdr = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    if rng.random() < 0.2:
        sdr = cv2.GaussianBlur(sdr, (0, 0), rng.uniform(0.4, 1.2)).astype(np.uint8)
    if rng.random() < 0.2:
        blurred = cv2.GaussianBlur(sdr, (0, 0), 1.0)
        sdr = cv2.addWeighted(sdr, 1.6, blurred, -0.6, 0).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(40, 96))
        coded = cv2.imencode(".jpg", sdr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        sdr = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return sdr
