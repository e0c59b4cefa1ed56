"""JPEG to pixels: the base as an upright sRGB picture of a wanted size, and the gain map as it is."""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.imaging.colour import to_srgb
from shared.imaging.orientation import to_upright
from shared.imaging.photo import Photo, PhotoError, decoder_faults


def fit_within(width: int, height: int, long_side: int) -> tuple[int, int]:
    """The size in pixels whose long side is at most `long_side`, proportions kept; never enlarges."""
    scale = min(1.0, long_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def upright_srgb(photo: Photo, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Decode a photo's base.

    Args:
        photo: what `open_photo` returned.
        size: wanted (width, height) of the upright picture in pixels; as stored where None.

    Returns:
        (height, width, 3) uint8, sRGB, upright. The decoder itself halves as often as it may, so that a photo of
        any size costs the memory of what is wanted; the score on val is the same as with every pixel decoded
        (docs/performance.md). The colour transform comes last, where least is left to do.

    Raises:
        PhotoError: the data are cut off or damaged.
    """
    with decoder_faults("jpeg"), Image.open(io.BytesIO(photo.base_jpeg), formats=["JPEG"]) as image:
        stored = image.size
        if size is not None:
            stored = (size[1], size[0]) if photo.orientation >= 5 else size
            image.draft("RGB", stored)  # no smaller than asked
        pixels = np.asarray(image.convert("RGB") if image.mode != "RGB" else image, np.uint8)
    if stored != (pixels.shape[1], pixels.shape[0]):
        pixels = np.asarray(cv2.resize(pixels, stored, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(to_upright(to_srgb(pixels, photo.icc_profile), photo.orientation))


def decode_gain_map(jpeg: bytes) -> NDArray[np.uint8]:
    """A gain-map JPEG -> (H, W) or (H, W, 3) uint8.

    Raises:
        PhotoError: the data are no JPEG, cut off, or neither grey nor colour.
    """
    with decoder_faults("jpeg"), Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        if image.mode not in ("L", "RGB"):
            raise PhotoError("bad_gain_map", f"the gain map is {image.mode}; it must be grey or colour")
        return np.asarray(image, np.uint8)
