"""Colour: profiles to sRGB, and sRGB to linear light and back."""

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709 luminance of linear sRGB
_SRGB: Final = ImageCms.createProfile("sRGB")


def srgb_to_linear(encoded: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """sRGB values in 0..1 -> linear light in 0..1, any shape (IEC 61966-2-1)."""
    low, high = encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, low, high).astype(np.float32)


def linear_to_srgb(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light -> sRGB values, any shape; 1.0 stays 1.0 and the curve goes on above."""
    high = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, high).astype(np.float32)


def luminance(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) linear sRGB -> (...) relative luminance, Rec. 709 weights."""
    return np.asarray(linear @ LUMA, np.float32)


def to_srgb(pixels: NDArray[np.uint8], icc_profile: bytes | None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 in the profile's space -> (H, W, 3) uint8 sRGB, relative colorimetric.

    No profile, or one that cannot be read, means sRGB: that is how viewers show such a file.
    """
    if icc_profile is None:
        return pixels
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(icc_profile))
        converted = ImageCms.profileToProfile(
            Image.fromarray(pixels), source, _SRGB, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return pixels
    return pixels if converted is None else np.asarray(converted, np.uint8)
