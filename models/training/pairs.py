"""Photo and gain-map pairs as cameras wrote them, read the way their README defines target and score."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.imaging.colour import luminance, srgb_to_linear

LOG2_SCALE, LOG2_OFFSET = 4.5, -0.5  # stops: log2_gain = sample / 255 * 4.5 - 0.5
TARGET_MAX = 3.0  # stops: the target is clipped here


@dataclass(frozen=True, slots=True)
class Pair:
    """One photo: `sdr` (H, W, 3) uint8 sRGB, `target` (h, w) float32 stops over the photo's own floor."""

    name: str
    sdr: NDArray[np.uint8]
    target: NDArray[np.float32]
    row: dict[str, Any]

    @property
    def small(self) -> NDArray[np.uint8]:
        """The photo at its map's size, (h, w, 3) uint8 sRGB."""
        height, width = self.target.shape
        return np.asarray(cv2.resize(self.sdr, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    @property
    def weight(self) -> NDArray[np.float32]:
        """(h, w) float32: the linear luminance of the SDR pixel at the map's size, which weighs the score."""
        return luminance(srgb_to_linear(self.small.astype(np.float32) / 255))


def load_pair(folder: Path, row: dict[str, Any]) -> Pair:
    """Read one line of `index.jsonl`.

    Raises:
        FileNotFoundError: a picture that the index names is absent.
    """
    sdr = cv2.imread(str(folder / f"{row['id']}.sdr.jpg"), cv2.IMREAD_COLOR)
    sample = cv2.imread(str(folder / f"{row['id']}.log2gain.jpg"), cv2.IMREAD_GRAYSCALE)
    if sdr is None or sample is None:
        raise FileNotFoundError(f"{folder}: picture {row['id']} of index.jsonl is missing or unreadable")
    stops = sample.astype(np.float32) / 255 * LOG2_SCALE + LOG2_OFFSET
    target = np.asarray(np.clip(stops - max(float(row["log2_gain_floor"]), 0.0), 0.0, TARGET_MAX), np.float32)
    return Pair(str(row["id"]), np.ascontiguousarray(sdr[:, :, ::-1]).astype(np.uint8), target, row)


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The rows of a folder's `index.jsonl`.

    Raises:
        FileNotFoundError: the folder holds no index.
    """
    index = folder / "index.jsonl"
    if not index.is_file():
        raise FileNotFoundError(f"{index} not found: point at a folder of pairs (train/ or val/)")
    return [json.loads(line) for line in index.read_text().splitlines() if line.strip()]


def load_pairs(folder: Path) -> list[Pair]:
    """Every pair of a folder, in the index's order."""
    return [load_pair(folder, row) for row in read_index(folder)]


def source_weights(rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    """One weight a pair, over the square root of its source's count: no source may outvote the others."""
    counts = Counter(row["source"] for row in rows)
    weights = np.array([1.0 / np.sqrt(counts[row["source"]]) for row in rows])
    return np.asarray(weights / weights.sum(), np.float64)


def lw_mae(predicted: NDArray[np.float32], pair: Pair) -> float:
    """Luminance-weighted mean absolute error in stops, both maps (h, w): the score."""
    weight = pair.weight
    return float((weight * np.abs(predicted - pair.target)).sum() / weight.sum())
