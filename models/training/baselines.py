"""What a model must beat: constants and look-up tables, fitted on pairs, and the naive stretch."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.pairs import Pair, source_weights
from shared.imaging.colour import luminance, srgb_to_linear
from worker.predictors.naive import KNEE

BINS = 64  # of gamma-encoded luminance, Y ** (1 / 2.4)
SAMPLES = 8000  # pixels drawn from each photo
NAIVE_PEAK = 2.0  # stops

Stops = NDArray[np.float32]


def bin_of(photo: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(h, w, 3) uint8 sRGB -> (h, w) bin of brightness, 0..BINS - 1."""
    linear = luminance(srgb_to_linear(photo.astype(np.float32) / 255))
    return np.clip((np.clip(linear, 0, 1) ** (1 / 2.4) * BINS).astype(np.int64), 0, BINS - 1)


@dataclass(frozen=True, slots=True)
class Baselines:
    """Fitted numbers: a constant and two tables, in stops."""

    constant: float
    means: Stops
    medians: Stops

    def named(self) -> dict[str, Callable[[Pair], Stops]]:
        """Each baseline as a function from a pair to a map (h, w) of stops."""
        return {
            "zero": lambda pair: np.zeros_like(pair.target),
            "constant": lambda pair: np.full_like(pair.target, self.constant),
            "lut_mean": lambda pair: self.means[bin_of(pair.small)],
            "lut": lambda pair: self.medians[bin_of(pair.small)],
            "naive": _naive,
        }


def fit(pairs: list[Pair], seed: int = 0) -> Baselines:
    """Fit on pairs, every source weighted by one over the square root of its count."""
    rng = np.random.default_rng(seed)
    weights = source_weights([pair.row for pair in pairs])
    bins, stops, shares = [], [], []
    for pair, weight in zip(pairs, weights, strict=True):
        pick = rng.choice(pair.target.size, min(SAMPLES, pair.target.size), replace=False)
        bins.append(bin_of(pair.small).ravel()[pick])
        stops.append(pair.target.ravel()[pick])
        shares.append(np.full(len(pick), weight / len(pick)))
    place, value, share = np.concatenate(bins), np.concatenate(stops), np.concatenate(shares)
    order = np.argsort(value, kind="stable")
    place, value, share = place[order], value[order], share[order]
    means, medians = np.zeros(BINS, np.float32), np.zeros(BINS, np.float32)
    for k in range(BINS):
        inside = place == k
        if inside.any():
            reached = np.cumsum(share[inside])
            means[k] = np.average(value[inside], weights=share[inside])
            medians[k] = value[inside][np.searchsorted(reached, reached[-1] / 2)]
    return Baselines(float(np.average(value, weights=share)), means, medians)


def _naive(pair: Pair) -> Stops:
    luma = cv2.cvtColor(pair.small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return np.asarray(np.clip((luma - KNEE) / (1 - KNEE), 0, 1) * NAIVE_PEAK, np.float32)
