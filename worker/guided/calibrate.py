"""Fit a network's map to one photo: what the unedited pixels' true gain says about the pixels that were edited."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.imaging.colour import luminance, srgb_to_linear

Plane = NDArray[np.float32]

POINTS: Final = 12_000  # pixels that curves are fitted to
KNOTS: Final = 10  # of the curve over brightness, evenly on sRGB's scale
RIDGE: Final = 0.002  # share of the pixels a knot must have before it is believed
SLOPES: Final = (0.0, 2.5)  # of the network's map: it is never turned upside down
GRID: Final = (24, 10)  # cells of the bilateral grid along the long side, and over brightness
SPREAD: Final = 1.2  # cells, sigma of the grid's blur
DOUBT: Final = 0.02  # of a full cell: with less around it a residual fades to none
BLOCKS: Final = 7  # blocks along the long side that are held out in turn
FOLDS: Final = 3
STEADY: Final = 5e-4  # stops squared: a network whose map varies less says nothing of the slope
LEAST: Final = 400  # trusted pixels below which nothing can be learnt


@dataclass(frozen=True, slots=True)
class Features:
    """What a gain may depend on, (h, w) float32: the network's stops, and brightness in sRGB 0..1."""

    network: Plane
    brightness: Plane

    @classmethod
    def of(cls, picture: NDArray[np.uint8], network: Plane) -> "Features":
        """From the edit (h, w, 3) uint8 sRGB at the map's size."""
        pixels = cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32) / np.float32(255)
        light = luminance(srgb_to_linear(pixels)) ** np.float32(1 / 2.4)
        return cls(network, np.asarray((light + pixels.max(axis=2)) / 2, np.float32))


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A map (h, w) in stops for the whole picture and, where pixels were held out, its mean error there."""

    stops: Plane
    error: float | None


def calibrate(features: Features, truth: Plane, trusted: NDArray[np.bool_], wanted: Plane) -> Calibrated:
    """Fit to the trusted pixels' truth and say how well that foretells pixels it did not see.

    Args:
        features: of the edit.
        truth: (h, w) stops, the original's map.
        trusted: (h, w), where the truth holds.
        wanted: (h, w) 0..1, where the map will be used: held-out pixels as bright as these count most.
    """
    if int(trusted.sum()) < LEAST:
        return Calibrated(features.network, None)
    errors = _held_out(features, truth, trusted, wanted)
    local = errors is not None and errors[1] <= errors[0]
    stops = _fitted(features, truth, trusted, local=local)
    return Calibrated(stops, None if errors is None else min(errors))


def _held_out(
    features: Features, truth: Plane, trusted: NDArray[np.bool_], wanted: Plane
) -> tuple[float, float] | None:
    """Mean error on blocks that the fit did not see, without and with the local part."""
    blocks = _blocks(truth.shape)
    weight = _alike(features.brightness, trusted, wanted)
    sums = np.zeros(3)
    for fold in range(FOLDS):
        seen, unseen = trusted & (blocks != fold), trusted & (blocks == fold)
        if seen.sum() < LEAST or unseen.sum() < LEAST:
            continue
        share = weight[unseen]
        for way in (0, 1):
            guess = _fitted(features, truth, seen, local=bool(way))
            sums[way] += float((share * np.abs(guess - truth)[unseen]).sum())
        sums[2] += float(share.sum())
    return (sums[0] / sums[2], sums[1] / sums[2]) if sums[2] > 0 else None


def _blocks(shape: tuple[int, ...]) -> NDArray[np.int64]:
    side = max(shape) / BLOCKS
    rows, columns = (np.arange(length) // side for length in shape[:2])
    return np.asarray((rows[:, None] * 2 + columns[None]) % FOLDS, np.int64)


def _alike(brightness: Plane, trusted: NDArray[np.bool_], wanted: Plane) -> Plane:
    """Weights (h, w) that give the trusted pixels the brightness of the wanted ones."""
    bins = np.clip((brightness * KNOTS).astype(np.int64), 0, KNOTS - 1)
    have = np.bincount(bins[trusted], minlength=KNOTS).astype(np.float64)
    want = np.bincount(bins.ravel(), weights=wanted.ravel(), minlength=KNOTS)
    if want.sum() < 1:
        return np.ones(brightness.shape, np.float32)
    ratio = (want / want.sum() + 0.02) / (have / have.sum() + 0.02)
    return np.asarray(ratio[bins], np.float32)


def _fitted(features: Features, truth: Plane, seen: NDArray[np.bool_], *, local: bool) -> Plane:
    stops = _curve(features, truth, seen)
    if local:
        stops = stops + _local(features.brightness, truth - stops, seen)
    low, high = np.quantile(truth[seen][::7], (0.001, 0.999))
    room = max(0.5, 0.5 * float(high - low))  # stops: what is brighter than anything unedited may shine more
    return np.asarray(np.clip(stops, low - 0.1, high + room), np.float32)


def _curve(features: Features, truth: Plane, seen: NDArray[np.bool_]) -> Plane:
    """An affine of the network's map, and a curve over brightness where unedited pixels are that bright."""
    chosen = np.flatnonzero(seen)
    if len(chosen) > POINTS:
        chosen = np.random.default_rng(0).choice(chosen, POINTS, replace=False)
    network, goal = features.network.ravel()[chosen], truth.ravel()[chosen]
    centre, mean = float(network.mean()), float(goal.mean())
    spread = float(((network - centre) ** 2).sum())
    slope = float(((network - centre) * (goal - mean)).sum()) / (spread + STEADY * len(chosen))
    slope = float(np.clip(slope, *SLOPES))
    base = mean + slope * (features.network - np.float32(centre))
    hats = _hats(features.brightness.ravel()[chosen])
    # Both at once: the curve over brightness, and what of the network's map it does not say.
    terms = np.hstack([hats, (network - centre)[:, None]]).astype(np.float64)
    rest = goal - base.ravel()[chosen]
    held = RIDGE * len(chosen) * np.eye(KNOTS + 1)
    held[:KNOTS, :KNOTS] += 0.02 * RIDGE * len(chosen) * _bending()
    weights = np.linalg.solve(terms.T @ terms + held, terms.T @ rest)
    curve = np.interp(features.brightness, np.linspace(0, 1, KNOTS), weights[:KNOTS])
    extra = float(np.clip(slope + weights[KNOTS], *SLOPES)) - slope
    return np.asarray(base + curve + extra * (features.network - centre), np.float32)


def _hats(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    position = brightness[:, None] * (KNOTS - 1) - np.arange(KNOTS)
    return np.asarray(np.maximum(1 - np.abs(position), 0), np.float32)


def _bending() -> NDArray[np.float64]:
    second = np.diff(np.eye(KNOTS), n=2, axis=0)
    return np.asarray(second.T @ second * KNOTS, np.float64)


def _local(brightness: Plane, residual: Plane, seen: NDArray[np.bool_]) -> Plane:
    """What the curve leaves, from unedited pixels that are near and as bright; none where there are none.

    A bilateral grid (Chen et al. 2007) holds sums and counts; counts near nothing fade the residual out, so that
    no place is guessed by its position alone.
    """
    height, width = residual.shape
    cell = max(height, width) / GRID[0]
    rows, columns = int(height / cell) + 2, int(width / cell) + 2
    level = np.clip(brightness, 0, 1) * (GRID[1] - 1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(cell)
    sums, counts = (np.zeros((GRID[1], rows, columns), np.float32) for _ in range(2))
    nearest = np.rint(level).astype(np.int64)
    place = (nearest * rows + np.rint(y).astype(np.int64)) * columns + np.rint(x).astype(np.int64)
    inside = place[seen]
    full = cell * cell
    counts[:] = (np.bincount(inside, minlength=counts.size) / full).reshape(counts.shape)
    sums[:] = (np.bincount(inside, weights=residual[seen], minlength=sums.size) / full).reshape(sums.shape)
    smooth = [_along_levels(_blurred(grid)) for grid in (sums, counts)]
    ratio = smooth[0] / (smooth[1] + np.float32(DOUBT))
    out = np.zeros(residual.shape, np.float32)
    for number in range(GRID[1]):
        plane = cv2.remap(ratio[number], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        out += plane * np.maximum(1 - np.abs(level - np.float32(number)), 0)
    return out


def _blurred(grid: Plane) -> Plane:
    return np.stack([np.asarray(cv2.GaussianBlur(plane, (0, 0), SPREAD), np.float32) for plane in grid])


def _along_levels(grid: Plane) -> Plane:
    padded = np.pad(grid, ((1, 1), (0, 0), (0, 0)), mode="edge")
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, np.float32)
