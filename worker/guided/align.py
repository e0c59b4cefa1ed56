"""Where each pixel of an edit lies in its original: features, a robust fit, and a look at the pixels themselves."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Matrix = NDArray[np.float64]

LONG_SIDE: Final = 1024  # pixels of both pictures while features are sought
FEATURES: Final = 2500  # of ORB, each picture
RATIO: Final = 0.8  # of the best match's distance to the next best (Lowe 2004)
REACH: Final = 3.0  # pixels: farther from the fit, a match is an outlier
LEAST_INLIERS: Final = 20
LEAST_RATIO: Final = 0.3  # inliers among matches; unrelated photos reach a tenth
CERTAIN_INLIERS: Final = 60  # so many in one similarity are no chance, whatever was pasted around them
LEAST_AGREEMENT: Final = 0.35  # share of the overlap's textured pixels whose structure agrees
LEAST_OVERLAP: Final = 0.1  # of the edit that the original must cover
HOMOGRAPHY_GAIN: Final = 1.15  # a homography must hold so many times the similarity's inliers
SCALES: Final = (0.1, 10.0)  # edit over original
WINDOW: Final = 7.0  # pixels, sigma of the windows in which structure is compared
CALM: Final = 2.0  # pixels, sigma of the smoothing before
FLAT: Final = 4.0  # levels of 255, standard deviation: below, a window shows nothing that could agree
ALIKE: Final = 0.5  # correlation of a window from which its structure agrees


@dataclass(frozen=True, slots=True)
class Alignment:
    """An original found in an edit.

    `matrix` (3, 3) maps the original's unit square onto the edit's, so that it holds at any size; `error` is the
    inliers' median distance in pixels of a picture of LONG_SIDE; `agreement` the share of textured pixels
    that agree; `overlap` the share of the edit that the original covers.
    """

    matrix: Matrix
    inliers: int
    matches: int
    agreement: float
    overlap: float
    error: float
    mirrored: bool
    homography: bool

    @property
    def ratio(self) -> float:
        """Inliers among matches."""
        return self.inliers / max(self.matches, 1)

    @property
    def accepted(self) -> bool:
        """Whether the two are one photo: features and pixels must both say so."""
        enough = self.ratio >= LEAST_RATIO or self.inliers >= CERTAIN_INLIERS
        return (
            enough
            and self.inliers >= LEAST_INLIERS
            and self.agreement >= LEAST_AGREEMENT
            and self.overlap >= LEAST_OVERLAP
        )

    def pixels(self, original: tuple[int, int], edit: tuple[int, int]) -> Matrix:
        """The matrix between pixels, for sizes (width, height): original (x, y, 1) -> edit."""
        return scaling(edit) @ self.matrix @ np.linalg.inv(scaling(original))

    def warp(self, plane: NDArray[Any], size: tuple[int, int], border: int = cv2.BORDER_REPLICATE) -> NDArray[Any]:
        """A plane of the original, at any size, as it lies in an edit of `size` (width, height).

        What would be sampled too sparsely is averaged first.
        """
        matrix = self.pixels((plane.shape[1], plane.shape[0]), size)
        shrink = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
        if shrink < 0.75:
            smaller = (max(1, round(plane.shape[1] * shrink)), max(1, round(plane.shape[0] * shrink)))
            plane = cv2.resize(plane, smaller, interpolation=cv2.INTER_AREA)
            matrix = self.pixels(smaller, size)
        return cv2.warpPerspective(plane, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)

    def covered(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """(h, w) float32 in 0..1: where the original lies in an edit of `size`."""
        ones = np.ones((256, 256), np.float32)
        matrix = self.pixels((256, 256), size)
        return np.asarray(cv2.warpPerspective(ones, matrix, size, flags=cv2.INTER_LINEAR), np.float32)

    def to_json(self) -> dict[str, float | int | bool]:
        """Plain numbers."""
        return {
            "inliers": self.inliers,
            "matches": self.matches,
            "inlier_ratio": round(self.ratio, 4),
            "agreement": round(self.agreement, 4),
            "overlap": round(self.overlap, 4),
            "error_px": round(self.error, 3),
            "mirrored": self.mirrored,
            "homography": self.homography,
        }


def align(original: Image, edit: Image) -> Alignment | None:
    """Find an original (H, W, 3) uint8 sRGB in an edit (h, w, 3), both upright.

    Returns:
        The best fit, which the caller must ask whether it is `accepted`; None where nothing fits at all.
    """
    source, target = _grey(original), _grey(edit)
    best: Alignment | None = None
    wanted = _features(target)
    for mirrored in (False, True):
        view = np.ascontiguousarray(source[:, ::-1]) if mirrored else source
        found = _fit(view, target, _features(view), wanted, mirrored=mirrored)
        # A mirrored photo locks falsely on what is symmetric in it: both ways are tried unless one is plain.
        if found is not None and (best is None or _rank(found) > _rank(best)):
            best = found
        if best is not None and best.accepted and best.ratio > 0.7 and best.agreement > 0.7:
            break
    return best


def scaling(size: tuple[int, int]) -> Matrix:
    """Unit square -> pixels of `size` (width, height), whose centres lie at whole numbers."""
    return np.array([[size[0], 0, -0.5], [0, size[1], -0.5], [0, 0, 1]], np.float64)


def _rank(found: Alignment) -> tuple[bool, float]:
    return found.accepted, found.inliers * found.agreement


def _grey(picture: Image) -> Image:
    scale = LONG_SIDE / max(picture.shape[:2])
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    # Regrades and dark pictures: the same corners must stand out in both.
    return np.asarray(cv2.createCLAHE(2.0, (8, 8)).apply(grey), np.uint8)


def _features(grey: Image) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    orb = cv2.ORB.create(nfeatures=FEATURES, fastThreshold=7)
    found: Any = orb.detectAndCompute(grey, None)  # no descriptors at all where there are no points
    points, descriptors = found
    return np.array([point.pt for point in points], np.float32).reshape(-1, 2), descriptors


def _matches(
    a: tuple[NDArray[np.float32], NDArray[np.uint8] | None], b: tuple[NDArray[np.float32], NDArray[np.uint8] | None]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if a[1] is None or b[1] is None or len(a[1]) < 2 or len(b[1]) < 2:
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(a[1], b[1], k=2)
    kept = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance]
    return a[0][[m.queryIdx for m in kept]], b[0][[m.trainIdx for m in kept]]


def _fit(
    source: Image,
    target: Image,
    features: tuple[NDArray[np.float32], NDArray[np.uint8] | None],
    wanted: tuple[NDArray[np.float32], NDArray[np.uint8] | None],
    *,
    mirrored: bool,
) -> Alignment | None:
    origin, goal = _matches(features, wanted)
    if len(origin) < 4:
        return None
    cv2.setRNGSeed(0)  # the same answer for the same photos
    similarity: Matrix | None
    similarity, inside = cv2.estimateAffinePartial2D(  # type: ignore[assignment]  # None where nothing fits
        origin, goal, method=cv2.RANSAC, ransacReprojThreshold=REACH, maxIters=4000, confidence=0.999
    )
    if similarity is None:
        return None
    scale = float(np.hypot(similarity[0, 0], similarity[1, 0]))
    if not SCALES[0] <= scale <= SCALES[1]:
        return None
    matrix = np.vstack([similarity, [0, 0, 1]])
    inliers = np.asarray(inside, np.bool_).ravel()
    better = _homography(origin, goal, int(inliers.sum()))
    if better is not None:
        matrix, inliers = better
    distance = np.linalg.norm(_moved(origin[inliers], matrix) - goal[inliers], axis=1)
    size, goal_size = (source.shape[1], source.shape[0]), (target.shape[1], target.shape[0])
    unit = np.linalg.inv(scaling(goal_size)) @ matrix @ scaling(size)
    if mirrored:
        unit = unit @ np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1]], np.float64)
        source = np.ascontiguousarray(source[:, ::-1])
    draft = Alignment(unit, int(inliers.sum()), len(origin), 0, 0, 0, mirrored, better is not None)
    agreement, overlap = _agreement(draft, source, target)
    error = float(np.median(distance)) if len(distance) else REACH
    return Alignment(unit, draft.inliers, draft.matches, agreement, overlap, error, mirrored, draft.homography)


def _homography(
    origin: NDArray[np.float32], goal: NDArray[np.float32], inliers: int
) -> tuple[Matrix, NDArray[np.bool_]] | None:
    """A homography, where it holds clearly more matches than the similarity and does not fold the picture."""
    if inliers < LEAST_INLIERS or inliers * HOMOGRAPHY_GAIN > len(origin):
        return None
    matrix, inside = cv2.findHomography(origin, goal, cv2.RANSAC, REACH, maxIters=4000)
    if matrix is None or int(inside.sum()) < HOMOGRAPHY_GAIN * inliers or np.linalg.det(matrix[:2, :2]) <= 0:
        return None
    return np.asarray(matrix, np.float64), np.asarray(inside, np.bool_).ravel()


def _moved(points: NDArray[np.float32], matrix: Matrix) -> NDArray[np.float64]:
    moved = np.hstack([points, np.ones((len(points), 1), np.float32)]) @ matrix.T
    return np.asarray(moved[:, :2] / moved[:, 2:], np.float64)


def _agreement(found: Alignment, source: Image, target: Image) -> tuple[float, float]:
    """Share of textured pixels of the overlap that agree, and the overlap's share of the edit."""
    size = (target.shape[1], target.shape[0])
    # Grain goes with smoothing and comes with JPEG: what is compared is the picture beneath.
    calm = [cv2.GaussianBlur(plane, (0, 0), CALM).astype(np.float32) for plane in (found.warp(source, size), target)]
    inside = found.covered(size) > 0.99
    correlation, textured = correlated(calm[0], calm[1])
    judged = inside & textured
    if judged.sum() < 0.01 * inside.size:
        judged = inside
    agreement = float((correlation[judged] > ALIKE).mean()) if judged.any() else 0.0
    return agreement, float(inside.mean())


def correlated(
    a: NDArray[np.float32], b: NDArray[np.float32], sigma: float = WINDOW, flat: float = FLAT
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Correlation of two planes (h, w), levels of 255, in Gaussian windows, and where both show structure."""

    def mean(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)

    mean_a, mean_b = mean(a), mean(b)
    spread_a, spread_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    correlation = covariance / np.sqrt(np.maximum(spread_a, 0.1) * np.maximum(spread_b, 0.1))
    return np.asarray(correlation, np.float32), np.asarray(np.maximum(spread_a, spread_b) > flat**2, np.bool_)
