"""Pixels to JPEG, the same bytes for the same pixels."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GAIN_MAP_QUALITY = 90  # of JPEG: banding begins to show in plain skies below
MASK_LONG_SIDE = 512  # pixels: enough to see where a map comes from
PHOTO_QUALITY = 95  # of JPEG, 4:4:4: for photos that came in another format


def encode_gain_map(samples: NDArray[np.uint8], quality: int = GAIN_MAP_QUALITY) -> bytes:
    """(H, W) or (H, W, 3) uint8 -> a baseline JPEG without metadata, three channels in 4:4:4."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(out, "JPEG", quality=quality, optimize=True, subsampling=0)
    return out.getvalue()


def encode_mask(mask: NDArray[np.float32]) -> bytes:
    """(H, W) float32 in 0..1 -> a grey PNG of at most MASK_LONG_SIDE pixels, 1 as white."""
    image = Image.fromarray(np.asarray(np.clip(mask, 0, 1) * 255 + 0.5, np.uint8))
    image.thumbnail((MASK_LONG_SIDE, MASK_LONG_SIDE), Image.Resampling.BOX)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def encode_photo(pixels: NDArray[np.uint8], icc_profile: bytes | None, exif: bytes | None) -> bytes:
    """(H, W, 3) uint8 -> a JPEG at PHOTO_QUALITY with the given profile and Exif."""
    out = io.BytesIO()
    extra = {"icc_profile": icc_profile} if icc_profile else {}
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(out, "JPEG", quality=PHOTO_QUALITY, subsampling=0, exif=exif or b"", **extra)
    return out.getvalue()
