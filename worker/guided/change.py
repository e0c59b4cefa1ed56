"""What an edit changed: the tone curve it laid over the whole photo, and the places where more than that happened."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.imaging.colour import luminance, srgb_to_linear
from shared.imaging.upsample import line_along
from worker.guided.align import correlated

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

POINTS: Final = 16_000  # pixels that the tone curve is fitted to
ROUNDS: Final = 8  # of fitting, dropping what fits worst, and fitting again
NEAR: Final = 0.03  # of sRGB 0..1: closer to the curve, a pixel counts as unedited
KEPT: Final = 0.5  # share of the pixels that are kept at least, those that fit best
HIGH: Final = 0.97  # of sRGB 0..1: from here a channel may be clipped
RIDGE: Final = 1e-3  # holds the curve to a plain one where few pixels say otherwise
SMOOTHING: Final = 1.5  # pixels: noise, grain and JPEG blocks are no edit
FLOOR: Final = 0.02  # linear light: differences in black are noise
CHANGED: Final = 0.25  # stops: more is an edit
CHROMA: Final = 0.085  # of sRGB 0..1, differences between channels: more is an edit
TEXTURE: Final = 4.0  # levels of 255, standard deviation of a window from which its structure is judged
UNLIKE: Final = 0.25  # correlation below which a window's structure was changed
STRUCTURE: Final = 3.5  # pixels, sigma of those windows
SPECK: Final = 2e-4  # of the picture: smaller changes are noise
MARGIN: Final = 0.005  # of the long side: an edit reaches a little beyond where it shows
SPENT: Final = 1.0  # stops: most that clipped light is given back


@dataclass(frozen=True, slots=True)
class Change:
    """What was found, all (h, w) float32 in the edit's frame.

    `mask` is 1 where the map must be predicted and 0 where the original's holds, soft in between; `clipped` the
    stops that the edit clipped off and the map must give back; `share` how much of what the original covers
    was changed.
    """

    mask: Plane
    clipped: Plane
    share: float


def find_change(original: Image, edit: Image, covered: Plane) -> Change:
    """Compare an edit with its original, aligned.

    Args:
        original: (h, w, 3) uint8 sRGB, warped into the edit's frame.
        edit: (h, w, 3) uint8 sRGB.
        covered: (h, w) float32, 1 where the original lies.
    """
    before, after = _smooth(original), _smooth(edit)
    inside = covered > 0.99
    planes = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) * np.float32(255) for picture in (before, after)]
    correlation, textured = correlated(planes[0], planes[1], STRUCTURE, TEXTURE)
    expected = toned(before, after, inside, correlation > 0.5)
    wrong = _differs(np.clip(expected, 0, 1), after) | (textured & (correlation < UNLIKE))
    changed = _solid(wrong & inside)
    share = float(changed[inside].mean()) if inside.any() else 1.0
    mask = _softened(changed, inside, planes[1] / np.float32(255))
    return Change(mask, _clipped(expected, before, after, mask), share)


def toned(before: Plane, after: Plane, inside: NDArray[np.bool_], agreeing: NDArray[np.bool_]) -> Plane:
    """The original as the edit's global tone curve shows it: (h, w, 3), sRGB, above 1 where the edit clips.

    Each channel is a cubic of its own value and linear in the others. It is fitted to the pixels that fit best, so
    that what was painted over does not bend it; those whose structure agrees come first.
    """
    usable = inside & (after.max(2) < HIGH) & (before.max(2) < HIGH)
    start = usable & agreeing
    if start.sum() < 500:
        start = usable
    if start.sum() < 100:
        return before
    rng = np.random.default_rng(0)
    chosen = np.flatnonzero(start)
    if len(chosen) > POINTS:
        chosen = rng.choice(chosen, POINTS, replace=False)
    x, y = before.reshape(-1, 3)[chosen], after.reshape(-1, 3)[chosen]
    kept = np.ones(len(x), np.bool_)
    weights: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * 3
    for _ in range(ROUNDS):
        weights = [_solved(_terms(x[kept], c), y[kept, c], c) for c in range(3)]
        error = np.max([np.abs(_terms(x, c) @ weights[c] - y[:, c]) for c in range(3)], axis=0)
        kept = error <= max(NEAR, float(np.quantile(error, KEPT)))
    flat = before.reshape(-1, 3)
    out = np.stack([_terms(flat, c) @ weights[c] for c in range(3)], axis=1)
    return np.asarray(out.reshape(before.shape), np.float32)


def _terms(x: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
    own = x[:, channel]
    return np.stack([np.ones_like(own), x[:, 0], x[:, 1], x[:, 2], own * own, own * own * own], axis=1)


def _solved(a: NDArray[np.float32], y: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
    """Least squares, held to the identity by a ridge."""
    prior = np.zeros(a.shape[1])
    prior[1 + channel] = 1
    square = a.astype(np.float64).T @ a + RIDGE * len(a) * np.diag([0.1, 1, 1, 1, 1, 1])
    right = a.astype(np.float64).T @ (y - a @ prior)
    return np.asarray(prior + np.linalg.solve(square, right), np.float32)


def _smooth(picture: Image) -> Plane:
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32) / 255, (0, 0), SMOOTHING), np.float32)


def _stops_apart(a: Plane, b: Plane) -> Plane:
    """log2 of the luminances' quotient, a over b, black held down."""
    bright, dark = luminance(srgb_to_linear(a)), luminance(srgb_to_linear(b))
    return np.asarray(np.log2((bright + FLOOR) / (dark + FLOOR)), np.float32)


def _differs(expected: Plane, after: Plane) -> NDArray[np.bool_]:
    difference = after - expected
    chroma = np.maximum(
        np.abs(difference[:, :, 0] - difference[:, :, 1]), np.abs(difference[:, :, 2] - difference[:, :, 1])
    )
    return np.asarray((np.abs(_stops_apart(after, expected)) > CHANGED) | (chroma > CHROMA), np.bool_)


def _solid(wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the thin lines that a shift of half a pixel leaves along edges, and without specks."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    solid = cv2.morphologyEx(wrong.astype(np.uint8), cv2.MORPH_OPEN, disc)
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, disc)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    kept = stats[:, cv2.CC_STAT_AREA] >= SPECK * wrong.size
    kept[0] = False
    return np.asarray(kept[labels], np.bool_)


def _softened(changed: NDArray[np.bool_], inside: NDArray[np.bool_], luma: Plane) -> Plane:
    """The mask, wide enough to leave no ghost, its rim soft and along the picture's own edges."""
    radius = max(2, round(MARGIN * max(changed.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    beyond = cv2.dilate((~inside).astype(np.uint8), np.ones((3, 3), np.uint8))  # where warping mixed in the border
    core = np.maximum(cv2.dilate(changed.astype(np.uint8), disc), beyond).astype(np.float32)
    wide = cv2.GaussianBlur(cv2.dilate(core, disc), (0, 0), radius / 2)
    soft = guided(np.asarray(wide, np.float32), luma, 2 * radius, 4e-4)
    return np.maximum(np.clip(soft, 0, 1), core)


def guided(plane: Plane, guide: Plane, radius: int, epsilon: float) -> Plane:
    """The guided filter (He et al. 2013): a plane (h, w) smoothed along the edges of `guide` (h, w) in 0..1."""
    slope, level = line_along(guide, plane, radius, epsilon)
    return slope * guide + level


def _clipped(expected: Plane, before: Plane, after: Plane, mask: Plane) -> Plane:
    """Light that the edit's curve pushed over white: the HDR picture had it, so the map must hold it now."""
    newly = (after.max(2) >= HIGH) & (before.max(2) < HIGH) & (mask < 0.5)
    top = (after.max(2) < HIGH) & (after.max(2) > 0.6) & (mask < 0.5)
    if not newly.any() or top.sum() < 50:
        return np.zeros(mask.shape, np.float32)
    # The curve's cubic says nothing beyond white; the gain it has just below white goes on.
    rise = float(np.median(_stops_apart(np.clip(expected, 0, 1), before)[top]))
    lost = rise - _stops_apart(after, before)
    return np.asarray(np.where(newly, np.clip(lost, 0, SPENT), 0), np.float32)
