"""Render the demo's photo: a street at dusk with a low sun, lamps and lit windows, flat as an editor saves it."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 1600, 1066  # pixels


def render() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(HEIGHT, WIDTH, 3) uint8 sRGB: scene-linear light, clipped at white and encoded."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    u, v = x / WIDTH, y / HEIGHT
    horizon = 0.62
    sky = np.stack([0.55 - 0.45 * (1 - v), 0.33 + 0.05 * v, 0.28 + 0.35 * (1 - v)], axis=2)
    ground = np.stack([0.05 + 0.03 * u, 0.05 + 0.02 * v, 0.06 + 0 * v], axis=2)
    scene = np.where((v < horizon)[:, :, None], sky, ground)
    sun = np.hypot(u - 0.72, (v - 0.52) * HEIGHT / WIDTH)
    scene += (3.5 * np.exp(-((sun / 0.03) ** 2)) + 0.5 * np.exp(-sun / 0.12))[:, :, None] * np.array([1, 0.75, 0.45])
    rng = np.random.default_rng(5)
    left = 0.0
    while left < 0.6:
        width, top = rng.uniform(0.06, 0.12), rng.uniform(0.2, 0.45)
        house = (u > left) & (u < left + width) & (v > top) & (v < horizon + 0.1)
        scene[house] = np.array([0.05, 0.045, 0.055]) * rng.uniform(0.7, 1.3)
        for row in np.arange(top + 0.03, horizon, 0.06):
            for column in np.arange(left + 0.012, left + width - 0.02, 0.024):
                if rng.random() < 0.35:
                    window = (np.abs(u - column - 0.005) < 0.005) & (np.abs(v - row - 0.012) < 0.012)
                    scene[window] = np.array([1.4, 1.0, 0.5]) * rng.uniform(0.6, 1.3)
        left += width + 0.005
    for lamp in (0.66, 0.8, 0.94):
        distance = np.hypot(u - lamp, (v - 0.36) * HEIGHT / WIDTH)
        scene += (4 * np.exp(-((distance / 0.008) ** 2)) + 0.25 * np.exp(-distance / 0.03))[:, :, None] * np.array(
            [1, 0.85, 0.6]
        )
        scene[(np.abs(u - lamp) < 0.002) & (v > 0.37) & (v < 0.8)] = 0.02
    clipped = np.clip(scene, 0, 1)
    encoded = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.asarray(encoded * 255 + rng.normal(0, 1.2, encoded.shape), np.float32).clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(render()).save(target, "JPEG", quality=92)
