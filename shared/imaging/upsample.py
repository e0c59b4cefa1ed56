"""Edge-aware enlargement: the map's own values, with the edges of the picture it belongs to."""

import cv2
import numpy as np
from numpy.typing import NDArray


def guided_upsample(
    stops: NDArray[np.float32], guide: NDArray[np.uint8], radius: int, epsilon: float
) -> NDArray[np.float32]:
    """Enlarge a map along a picture's edges: the fast guided filter (He and Sun, 2015).

    Args:
        stops: (h, w) float32, the small map.
        guide: (H, W) uint8, luma of the picture at the wanted size.
        radius: of the window, in pixels of the small map.
        epsilon: regularisation, in luma 0..1 squared; smaller follows weaker edges.

    Returns:
        (H, W) float32, never outside of what the small map holds nearby.
    """
    height, width = guide.shape
    low_height, low_width = stops.shape
    luma = guide.astype(np.float32) / np.float32(255)
    small = np.asarray(cv2.resize(luma, (low_width, low_height), interpolation=cv2.INTER_AREA), np.float32)

    def grown(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    slope, level = line_along(small, stops, radius, epsilon)
    out = grown(slope) * luma + grown(level)
    # A line fitted to a window overshoots at its ends; a map must not glow beyond its neighbours.
    kernel = np.ones((3, 3), np.uint8)
    return np.clip(
        out,
        grown(np.asarray(cv2.erode(stops, kernel), np.float32)),
        grown(np.asarray(cv2.dilate(stops, kernel), np.float32)),
    )


def line_along(
    guide: NDArray[np.float32], plane: NDArray[np.float32], radius: int, epsilon: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The guided filter's fit (He et al. 2013): slope and level, each (h, w), of `plane` over `guide` around a place.

    `radius` in pixels; `epsilon` in the guide's units squared.
    """
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, window, borderType=cv2.BORDER_REFLECT), np.float32)

    mean_guide, mean_plane = mean(guide), mean(plane)
    slope = (mean(guide * plane) - mean_guide * mean_plane) / (
        mean(guide * guide) - mean_guide**2 + np.float32(epsilon)
    )
    return mean(slope), mean(mean_plane - slope * mean_guide)
