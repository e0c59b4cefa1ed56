"""Rendered pairs: a crop of an HDR panorama, exposed and tone-mapped as a phone does, and what that lost."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.imaging.colour import linear_to_srgb, luminance

HEADROOM = 3.0  # stops: phones store no more for ordinary scenes


def load_scenes(folder: Path) -> list[NDArray[np.float32]]:
    """Every Radiance file below a folder, (H, W, 3) float32, scene-linear RGB, median luminance 0.18.

    Raises:
        FileNotFoundError: the folder holds none.
    """
    scenes = []
    for file in sorted(folder.rglob("*.hdr")):
        image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if image is not None:
            rgb = np.ascontiguousarray(image[:, :, ::-1]).astype(np.float32)
            scenes.append(rgb * np.float32(0.18 / max(float(np.median(luminance(rgb))), 1e-6)))
    if not scenes:
        raise FileNotFoundError(f"{folder}: no Radiance (.hdr) file")
    return scenes


def view(scene: NDArray[np.float32], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """A perspective view (height, width, 3) of an equirectangular scene, looking near the horizon."""
    width, height = size
    focal = 0.5 / np.tan(np.radians(rng.uniform(45, 95)) / 2)
    x, y = np.meshgrid((np.arange(width) + 0.5) / width - 0.5, (np.arange(height) + 0.5) / width - 0.5 * height / width)
    pitch, yaw = np.radians(rng.normal(5, 15)), rng.uniform(0, 2 * np.pi)
    up, forward = -y * np.cos(pitch) + focal * np.sin(pitch), y * np.sin(pitch) + focal * np.cos(pitch)
    longitude = (np.arctan2(x, forward) + yaw) / (2 * np.pi) % 1
    latitude = 0.5 - np.arctan2(up, np.hypot(x, forward)) / np.pi
    rows, columns = scene.shape[:2]
    map_x, map_y = (longitude * columns).astype(np.float32), (latitude * rows).astype(np.float32)
    return cv2.remap(scene, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).astype(np.float32)


def render(
    scene: NDArray[np.float32], size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """One pair: sdr (H, W, 3) uint8 sRGB, target (H, W) float32 stops over its floor."""
    hdr = view(scene, size, rng)
    brightness = luminance(hdr)
    key = float(np.exp(np.mean(np.log(brightness + 1e-4))))
    hdr *= np.float32(2 ** rng.normal(-0.2, 0.6) * 0.16 / max(key, 1e-4))
    headroom = rng.uniform(0.8, HEADROOM)
    hdr = np.minimum(hdr, np.float32(2**headroom))
    # A filmic shoulder: linear to the knee, then rolled off so that the headroom lands on white.
    knee = np.float32(rng.uniform(0.15, 0.6))
    top = np.float32(2**headroom)
    bright = hdr.max(axis=2)
    over = np.maximum(bright - knee, 0) / (top - knee)
    room = (top - knee) / (1 - knee)
    rolled = knee + (1 - knee) * over * room / (1 + over * (room - 1))
    mapped = np.where(bright > knee, rolled, bright)
    gain = np.log2(np.maximum(bright, 1e-4) / np.maximum(mapped, 1e-4))
    # Mild local compression: part of the gain is taken from its blurred self.
    if rng.random() < 0.5:
        blurred = cv2.GaussianBlur(gain.astype(np.float32), (0, 0), size[0] * rng.uniform(0.01, 0.06))
        gain = gain + rng.uniform(0.1, 0.5) * (blurred - gain)
    gain = np.clip(gain, 0, HEADROOM).astype(np.float32)
    sdr = np.clip(hdr * np.exp2(-gain)[:, :, None], 0, 1).astype(np.float32)
    coded = (linear_to_srgb(sdr) * 255 + 0.5).astype(np.uint8)
    return coded, np.clip(gain - max(float(np.quantile(gain, 0.02)), 0), 0, HEADROOM).astype(np.float32)
