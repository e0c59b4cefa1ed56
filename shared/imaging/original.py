"""Read a photo that still has its gain map: picture, stops and what else an edit has lost.

One way in for whoever wants a file's map in stops: Ultra HDR, ISO 21496-1, Apple's private form and Adobe's three
channels in a JPEG; a HEIC's `tmap` item or its auxiliary image.
"""

import io
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.imaging.colour import to_srgb
from shared.imaging.decode import decode_gain_map, fit_within, upright_srgb
from shared.imaging.gain_map import log2_gain
from shared.imaging.limits import MAX_BYTES, MAX_PIXELS
from shared.imaging.orientation import to_upright
from shared.imaging.photo import PhotoError, decoder_faults, open_photo
from shared.ultrahdr import AppleGainMap, GainMapMetadata, MetadataSource, parse
from shared.ultrahdr.apple import maker_headroom, xmp_headroom
from shared.ultrahdr.heif import gain_map_of
from shared.ultrahdr.segments import APP1, EXIF, START, XMP, walk
from shared.ultrahdr.xmp.read import APPLE_AUXILIARY

LONG_SIDE: Final = 2048  # pixels of the picture; a crop of half a photo still fills a map of 1024


@dataclass(frozen=True, slots=True)
class Original:
    """A photo with its true map.

    `picture` is (H, W, 3) uint8, sRGB, upright, at most the asked long side; `stops` (h, w) or (h, w, 3)
    float32, upright, at full application; `exif` an Exif segment's payload, `packets` the standard XMP packets,
    as they stand in the file.
    """

    picture: NDArray[np.uint8]
    stops: NDArray[np.float32]
    metadata: GainMapMetadata | AppleGainMap
    source: MetadataSource
    exif: bytes | None
    packets: tuple[bytes, ...]

    @property
    def channels(self) -> int:
        """Of the map: one or three."""
        return 1 if self.stops.ndim == 2 else 3


def read_original(data: bytes, long_side: int = LONG_SIDE) -> Original:
    """Read picture and map of a JPEG or HEIC.

    Raises:
        PhotoError: `no_gain_map`, where the file has none; `bad_gain_map`, where it is not readable; else as
            `open_photo`.
    """
    if len(data) > MAX_BYTES:
        raise PhotoError(
            "too_many_bytes", f"the original has {len(data) >> 20} MiB, more than {MAX_BYTES >> 20}; give a smaller one"
        )
    with decoder_faults("original"):
        if data.startswith(START):
            return _from_jpeg(data, long_side)
        if data[4:8] == b"ftyp" and data[8:12] != b"avif":
            return _from_heic(data, long_side)
    raise PhotoError("no_gain_map", "the original is neither JPEG nor HEIC, so it has no gain map that is read; "
                     "give the file as the phone or camera wrote it")  # fmt: skip


def _from_jpeg(data: bytes, long_side: int) -> Original:
    file = parse(data)
    if file.gain_map is None or file.metadata is None or file.source is None:
        raise _flat()
    photo = open_photo(file.primary)
    turned = photo.orientation >= 5
    width, height = (photo.height, photo.width) if turned else (photo.width, photo.height)
    picture = upright_srgb(photo, fit_within(width, height, long_side))
    stops = log2_gain(to_upright(decode_gain_map(file.gain_map), photo.orientation), file.metadata)
    primary = walk(file.primary)
    exif = primary.first(APP1, EXIF)
    packets = tuple(segment.payload[len(XMP) :] for segment in primary.all_of(APP1, XMP))
    return Original(picture, stops, file.metadata, file.source, None if exif is None else exif.payload, packets)


def _from_heic(data: bytes, long_side: int) -> Original:
    image = _opened(data)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PhotoError(
            "too_many_pixels",
            f"the original has {width}x{height} pixels, more than {MAX_PIXELS // 10**6} megapixels; give a smaller one",
        )
    numbers = image.info.get("aux", {}).get(APPLE_AUXILIARY) or [None]
    exif = image.info.get("exif") or None
    metadata, source = _heic_metadata(data, numbers[0], exif)
    if numbers[0] is None or metadata is None or source is None:
        raise _flat()
    # libheif turns both images upright.
    auxiliary = image.get_aux_image(numbers[0]).to_pillow()
    samples = np.asarray(auxiliary if auxiliary.mode in ("L", "RGB") else auxiliary.convert("L"), np.uint8)
    rgb = image.to_pillow().convert("RGB")
    small = rgb.resize(fit_within(width, height, long_side), Image.Resampling.BOX, reducing_gap=2.0)
    picture = to_srgb(np.asarray(small, np.uint8), image.info.get("icc_profile"))
    packet = image.info.get("xmp")
    return Original(picture, log2_gain(samples, metadata), metadata, source, exif, (packet,) if packet else ())


def _opened(data: bytes) -> Any:
    """The primary image by pillow-heif, not yet decoded."""
    try:
        import pillow_heif  # noqa: PLC0415  (an optional extra, loaded when needed)
    except ImportError as error:
        raise PhotoError(
            "no_heic", "HEIC needs the extra package pillow-heif; install regain[heic], or give a JPEG"
        ) from error
    container = pillow_heif.open_heif(io.BytesIO(data))
    return container[container.primary_index]


def _heic_metadata(
    data: bytes, item: int | None, exif: bytes | None
) -> tuple[GainMapMetadata | AppleGainMap | None, MetadataSource | None]:
    """ISO 21496-1 first, then Apple's headroom in the map's XMP, then in the MakerNote."""
    boxes = gain_map_of(data, item)
    if boxes.metadata is not None:
        return boxes.metadata, MetadataSource.ISO
    headroom = xmp_headroom(boxes.packet.apple.get("HDRGainMapHeadroom"))
    if headroom is None and exif is not None:
        headroom = maker_headroom(exif)
    return (None, None) if headroom is None else (AppleGainMap(headroom), MetadataSource.APPLE)


def _flat() -> PhotoError:
    return PhotoError(
        "no_gain_map", "the original has no gain map; give the file as the phone or camera wrote it, not an export"
    )
