"""Join the true map and the calibrated prediction into one, in log gain and without a seam."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.imaging.original import Original
from worker.guided.align import LONG_SIDE, Alignment
from worker.guided.calibrate import Features, calibrate
from worker.guided.change import Change, find_change
from worker.guided.confidence import Guided, transfer_error, unguided

Image = NDArray[np.uint8]
Stops = NDArray[np.float32]

RELIT: Final = 0.4  # share of what the original covers: with more changed, its map says nothing of the edit
FOREIGN: Final = 0.12  # stops: mean error of predicted places over all kinds of edits (make evaluate-guided, val)
TRUSTED: Final = 0.02  # of the mask: below, a pixel's true gain is known


@dataclass(frozen=True, slots=True)
class Joined:
    """A map (h, w) or (h, w, 3) in stops, what is said of it, and the mask (h, w) of what was predicted."""

    stops: Stops
    guided: Guided
    mask: NDArray[np.float32]


def join(original: Original, alignment: Alignment, edit: Image, network: Stops) -> Joined:
    """The true map where the edit left the photo alone, the network's, fitted to this photo, elsewhere.

    Args:
        original: picture and map.
        alignment: an accepted one.
        edit: (H, W, 3) uint8 sRGB, upright.
        network: (h, w) stops, the prediction for the edit at the map's size.

    Returns:
        A map of the network's size; the network's own where too much was changed.
    """
    size = (network.shape[1], network.shape[0])
    small = np.asarray(cv2.resize(edit, size, interpolation=cv2.INTER_AREA), np.uint8)
    covered = alignment.covered(size)
    change = find_change(np.asarray(alignment.warp(original.picture, size), np.uint8), small, covered)
    if change.share > RELIT:
        reason = f"relit: {change.share:.0%} of the photo differs from the original, so its map was not used"
        return Joined(network, unguided(reason, alignment), np.ones_like(network))
    true = np.asarray(alignment.warp(original.stops, size), np.float32)
    features = Features.of(small, network)
    planes, errors, slips = [], [], []
    shift = alignment.error * max(size) / LONG_SIDE
    for plane in _channels(true):
        joined, error = _joined(plane, change, features)
        planes.append(joined)
        errors.append(error)
        slips.append(transfer_error(plane, change.mask, shift))
    stops = planes[0] if len(planes) == 1 else np.stack(planes, axis=2)
    return Joined(stops, _said(alignment, change, errors, slips), change.mask)


def _channels(stops: Stops) -> list[Stops]:
    return [stops] if stops.ndim == 2 else [np.ascontiguousarray(stops[:, :, c]) for c in range(stops.shape[2])]


def _joined(true: Stops, change: Change, features: Features) -> tuple[Stops, float | None]:
    trusted = (change.mask < TRUSTED) & (change.clipped == 0)
    calibrated = calibrate(features, true, trusted, change.mask)
    out = change.mask * calibrated.stops + (1 - change.mask) * (true + change.clipped)
    return np.asarray(out, np.float32), calibrated.error


def _said(alignment: Alignment, change: Change, errors: list[float | None], slips: list[float]) -> Guided:
    predicted = float(change.mask.mean())
    known = [error for error in errors if error is not None]
    # Held-out blocks continue what surrounds them; what an edit put there may come from another photo.
    off = max(float(np.mean(known)), FOREIGN) if known else None
    slip = float(np.mean(slips))
    expected = slip if predicted == 0 else None if off is None else (1 - predicted) * slip + predicted * off
    return Guided(1 - predicted, predicted, expected, slip, off, alignment, len(errors))
