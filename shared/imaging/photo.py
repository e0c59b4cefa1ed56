"""Open a photo of any accepted format: header first, limits before any full decode, JPEG bytes untouched."""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (  # noqa: F401  (each plugin registers the format that is allowed below)
    AvifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from shared.imaging.encode import encode_photo
from shared.imaging.limits import MAX_BYTES, MAX_PIXELS
from shared.ultrahdr import UltraHdrError, parse
from shared.ultrahdr.segments import START

FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")  # a multi-picture file opens as JPEG
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow's own limit is lower; beyond ours it warns, which is an error below
_ORIENTATION: Final = 0x0112  # Exif tag
_ICC_TAG: Final = 34675  # TIFF tag "ICC Profile"
_FTYP_HEIC: Final = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


class PhotoError(ValueError):
    """A photo cannot be used; `code` is stable, the text names what, where and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that is ready to become an Ultra HDR base.

    `base_jpeg` is the input itself where that was a usable JPEG; `width` and `height` are as stored, before
    `orientation` (1..8, Exif) is applied; `notes` say what was done to the pixels.
    """

    base_jpeg: bytes
    width: int
    height: int
    orientation: int
    icc_profile: bytes | None
    source_format: str
    notes: tuple[str, ...]


def check_photo(data: bytes) -> str:
    """Look at a photo's header alone; its format, as in FORMATS.

    Raises:
        PhotoError: as `open_photo`, as far as it shows without decoding.
    """
    _check_bytes(data)
    with decoder_faults("photo"), _opened(data) as image:
        _check(image)
        return "JPEG" if image.format == "MPO" else str(image.format)


def orientation_of(jpeg: bytes) -> int:
    """A JPEG's Exif orientation, 1 to 8; 1 where it says none.

    Raises:
        PhotoError: it cannot be read.
    """
    with decoder_faults("photo"), _opened(jpeg) as image:
        return _orientation(image)


def open_photo(data: bytes) -> Photo:
    """Check a photo and make it a JPEG if it is none.

    Raises:
        PhotoError: `empty`, `too_many_bytes`, `unsupported_format`, `too_many_pixels`, `animated`, `cmyk`,
            `truncated`, `damaged`, `no_heic`.
    """
    _check_bytes(data)
    with decoder_faults("photo"), _opened(data) as image:
        _check(image)
        if image.format in ("JPEG", "MPO"):
            return _jpeg(data, image)
        return _recoded(data, image)


def _check_bytes(data: bytes) -> None:
    if not data:
        raise PhotoError("empty", "the file is empty; export the photo again")
    if len(data) > MAX_BYTES:
        raise PhotoError("too_many_bytes", f"the file has more than {MAX_BYTES >> 20} MiB; export it smaller")
    _allow_heic(data)
    with decoder_faults("photo"):
        if data.startswith(START):
            parse(data)  # walks to EOI: a file that is cut off is refused before any decode


@contextmanager
def decoder_faults(what: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged data into one PhotoError; its warnings never escape."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoError(
            "too_many_pixels", f"the photo has more than {MAX_PIXELS // 10**6} megapixels; export it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise PhotoError(
            "unsupported_format", "not a photo that can be read; give JPEG, PNG, WebP, TIFF, HEIC or AVIF"
        ) from error
    except UltraHdrError as error:
        code = "truncated" if error.code == "truncated" else "damaged"
        raise PhotoError(code, f"the {what} is damaged: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, cv2.error, OverflowError, KeyError,
            IndexError, TypeError, ZeroDivisionError, MemoryError, RuntimeError, AttributeError) as error:  # fmt: skip
        raise PhotoError("damaged", f"the {what} is cut off or damaged ({error}); export it again") from error


def _opened(data: bytes) -> Image.Image:
    formats = [name for name in FORMATS if name != "HEIF" or "HEIF" in Image.OPEN]
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _DeepTiff(data)
        if data[4:12] == b"ftypavif":  # its decoder wants the whole file before it recognises one
            raise PhotoError("damaged", "the AVIF file is cut off or damaged; export it again") from None
        raise


class _DeepTiff(Image.Image):
    """Stands for a TIFF whose pixels Pillow cannot hold (16-bit colour): size and tags alone."""

    format = "TIFF"

    def __init__(self, data: bytes) -> None:
        super().__init__()
        stream = io.BytesIO(data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        stream.seek(tags.next)
        tags.load(stream)
        self._size = (int(tags[256]), int(tags[257]))
        self._mode = "I;16"
        profile = tags.get(_ICC_TAG)
        self.info = {"icc_profile": profile} if isinstance(profile, bytes) else {}
        self._orientation = int(tags.get(_ORIENTATION, 1))

    def getexif(self) -> Image.Exif:
        exif = Image.Exif()
        exif[_ORIENTATION] = self._orientation
        return exif


def _allow_heic(data: bytes) -> None:
    """Register the HEIC decoder when one is needed; it is an optional extra."""
    if data[4:8] != b"ftyp" or data[8:12] not in _FTYP_HEIC:
        return
    try:
        import pillow_heif  # noqa: PLC0415  (an optional extra, loaded when needed)
    except ImportError as error:
        raise PhotoError(
            "no_heic", "HEIC needs the extra package pillow-heif; install regain[heic], or give a JPEG"
        ) from error
    pillow_heif.register_heif_opener()


def _check(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PhotoError(
            "too_many_pixels",
            f"the photo has {width}x{height} pixels, more than {MAX_PIXELS // 10**6} megapixels; export it smaller",
        )
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1 and image.format not in ("HEIF", "TIFF"):
        raise PhotoError("animated", "the file is an animation; give a single photo")
    if image.mode == "CMYK":
        raise PhotoError("cmyk", "the photo is CMYK, which gain maps cannot be added to; convert it to sRGB first")


def _jpeg(data: bytes, image: Image.Image) -> Photo:
    profile = _profile(image)
    orientation = _orientation(image)
    width, height = image.size
    if image.mode == "RGB":
        return Photo(data, width, height, orientation, profile, "JPEG", ())
    image.load()
    exif = image.info.get("exif")
    pixels = np.asarray(image.convert("RGB"), np.uint8)
    grey = "encoded once as YCbCr: a grey base is not read by every viewer"
    return Photo(encode_photo(pixels, None, exif), width, height, orientation, None, "JPEG", (grey,))


def _recoded(data: bytes, image: Image.Image) -> Photo:
    kind = str(image.format)
    profile, orientation = _profile(image), _orientation(image)
    exif = image.getexif()
    pixels = _pixels(data, image)
    height, width = pixels.shape[:2]
    jpeg = encode_photo(pixels, profile, exif.tobytes() if len(exif) else None)
    return Photo(jpeg, width, height, orientation, profile, kind, (f"encoded once from {kind} to JPEG",))


def _pixels(data: bytes, image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of any mode; 16 bits are scaled, alpha is laid over white."""
    if image.format in ("PNG", "TIFF"):
        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if deep is not None and deep.dtype == np.uint16:
            return _from_deep(np.asarray(deep, np.uint16))
        if isinstance(image, _DeepTiff):
            raise PhotoError(
                "unsupported_format", "this kind of TIFF is not read; export it with 8 or 16 bits a channel"
            )
    if image.mode in ("F", "I", "I;16", "I;16B"):
        raise PhotoError(
            "unsupported_format", f"{image.format} of kind {image.mode} is not read; export 8 or 16 bits a channel"
        )
    image.load()
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"), np.uint8)
    return np.asarray(image.convert("RGB"), np.uint8)


def _from_deep(deep: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """(H, W), (H, W, 3) or (H, W, 4) uint16, BGR -> (H, W, 3) uint8 RGB."""
    eight = ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if eight.ndim == 2:
        return np.repeat(eight[:, :, None], 3, axis=2)
    if eight.shape[2] == 4:
        alpha = eight[:, :, 3:].astype(np.uint32)
        mixed = (eight[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
        return np.ascontiguousarray(mixed[:, :, ::-1].astype(np.uint8))
    return np.ascontiguousarray(eight[:, :, 2::-1])


def _profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile else None


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, OSError, struct.error, KeyError, TypeError):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
