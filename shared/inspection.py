"""A first look at a photo that somebody sent: what it is, and whether it may be one; a few at a time."""

import hashlib
import threading
from typing import BinaryIO, Final

from shared.errors import RestoreError
from shared.imaging.limits import MAX_BYTES
from shared.imaging.photo import PhotoError, check_photo

MAX_IN_MEMORY: Final = 4  # photos that the threads of a process look at together, of at most 64 MiB each
_IN_MEMORY: Final = threading.BoundedSemaphore(MAX_IN_MEMORY)
_CHECKING: Final = threading.Lock()  # decoders' warnings are filtered for the whole process
_TYPES: Final = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}


def look_at(stream: BinaryIO, what: str) -> tuple[str, str]:
    """SHA-256 (hex) and content type of a photo; its limits are checked by its header.

    Raises:
        RestoreError: it cannot be used.
    """
    with _IN_MEMORY:
        stream.seek(0)
        data = stream.read(MAX_BYTES + 1)  # one more than allowed, to see that there is more
        stream.seek(0)
        try:
            with _CHECKING:
                kind = check_photo(data)
        except PhotoError as error:
            message = str(error) if what == "photo" else f"the {what} cannot be used: {error}"
            raise RestoreError(error.code, message) from error
        return hashlib.sha256(data).hexdigest(), _TYPES[kind]
