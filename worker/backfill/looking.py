"""Whether a photo has its gain map already, seen without any model."""

from pathlib import Path
from typing import Final

from shared.imaging.photo import PhotoError, open_photo
from shared.ultrahdr import UltraHdrError, parse

JPEG: Final = b"\xff\xd8"


def is_hdr(path: Path) -> bool:
    """As the pipeline would find; False also where it would refuse the photo.

    Raises:
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    try:
        return data.startswith(JPEG) and bool(parse(data).is_hdr) and bool(parse(open_photo(data).base_jpeg).is_hdr)
    except (UltraHdrError, PhotoError):
        return False
