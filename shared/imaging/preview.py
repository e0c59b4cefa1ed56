"""A picture for screens without HDR: what an HDR screen would show, beside what it has now."""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.imaging.colour import linear_to_srgb, srgb_to_linear
from shared.imaging.decode import decode_gain_map, fit_within, upright_srgb
from shared.imaging.gain_map import apply, log2_gain
from shared.imaging.orientation import to_upright
from shared.imaging.photo import PhotoError, open_photo
from shared.ultrahdr import parse

LONG_SIDE = 2048  # pixels of each half
GAP = 8  # pixels between the halves


def preview(data: bytes, stops: float) -> bytes:
    """Draw SDR (left) and HDR on a screen with `stops` of headroom (right) as one PNG.

    Both halves go through the same curve, an extended Reinhard per picture whose white is the screen's peak:
    they are comparable, and what is brighter on the right is what the map adds.

    Args:
        data: an Ultra HDR JPEG.
        stops: the screen's headroom above SDR white, 0 or more.

    Returns:
        A PNG, upright, sRGB, each half at most LONG_SIDE pixels.

    Raises:
        PhotoError: the file has no gain map, or is damaged.
        UltraHdrError: the file is no JPEG.
    """
    file = parse(data)
    if file.gain_map is None or file.metadata is None:
        raise PhotoError("no_gain_map", "the file has no gain map to preview; `regain restore` makes one")
    photo = open_photo(file.primary)
    turned = photo.orientation >= 5
    across, down = (photo.height, photo.width) if turned else (photo.width, photo.height)
    width, height = fit_within(across, down, LONG_SIDE)
    base = srgb_to_linear(upright_srgb(photo, (width, height)).astype(np.float32) / 255)
    gains = log2_gain(to_upright(decode_gain_map(file.gain_map), photo.orientation), file.metadata)
    gains = np.asarray(cv2.resize(gains, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    white = float(2**stops)
    halves = [shown(base, white), shown(apply(base, gains, file.metadata, stops), white)]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    out = io.BytesIO()
    Image.fromarray(np.hstack([halves[0], gap, halves[1]])).save(out, "PNG")
    return out.getvalue()


def shown(linear: NDArray[np.float32], white: float) -> NDArray[np.uint8]:
    """Linear light up to `white` -> sRGB uint8 by extended Reinhard on the brightest channel, hue kept."""
    linear = np.clip(linear, 0, white)
    peak = linear.max(axis=2, keepdims=True)
    scale = (1 + peak / (white * white)) / (1 + peak)
    mapped = linear * scale if white > 1 else linear  # without headroom there is nothing to make room for
    return np.asarray(linear_to_srgb(np.asarray(mapped, np.float32)) * 255 + 0.5, np.uint8)
