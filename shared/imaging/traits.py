"""What a picture says of itself without being restored: when it was taken, and what it looks like."""

import io
from typing import Final

import cv2
import numpy as np
from PIL import Image

from shared.imaging.photo import PhotoError, check_photo, decoder_faults

_EXIF_IFD: Final = 0x8769
_TIME_ORIGINAL: Final = 0x9003  # Exif 2.32, DateTimeOriginal
_FRACTION_ORIGINAL: Final = 0x9291  # SubSecTimeOriginal
_LOOK_SIDE: Final = 32  # pixels that the picture is shrunk to
_WAVES: Final = 8  # lowest frequencies a side that make the 64 bits


def capture_time(data: bytes) -> str | None:
    """Exif's time of the exposure, with its fraction where there is one; None: it does not say, or is no photo."""
    try:
        check_photo(data)
        with decoder_faults("photo"), Image.open(io.BytesIO(data)) as image:
            exif = image.getexif().get_ifd(_EXIF_IFD)
    except PhotoError:
        return None
    time = str(exif.get(_TIME_ORIGINAL, "")).strip("\0 ")
    if not time or time.startswith("0000"):
        return None
    fraction = str(exif.get(_FRACTION_ORIGINAL, "")).strip("\0 ")
    return f"{time}.{fraction}" if fraction else time


def looks(data: bytes) -> int | None:
    """64 bits that change little with size, tone and compression (signs of the lowest DCT waves); None: no photo."""
    try:
        check_photo(data)
        with decoder_faults("photo"), Image.open(io.BytesIO(data)) as image:
            image.draft("L", (_LOOK_SIDE * 4, _LOOK_SIDE * 4))
            small = image.convert("L").resize((_LOOK_SIDE, _LOOK_SIDE), Image.Resampling.BOX)
    except PhotoError:
        return None
    waves = cv2.dct(np.asarray(small, np.float32))[:_WAVES, :_WAVES].ravel()
    waves[0] = 0  # brightness says nothing
    bits = waves > np.median(waves[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
