"""Rules on the images themselves: components, size, and what does not belong into a map."""

from collections.abc import Iterator

from shared.ultrahdr.auditor.findings import ANDROID, APPLE, EVERYONE, VIPS, Finding, error, note, warning
from shared.ultrahdr.iso21496 import VERSION
from shared.ultrahdr.reader import Facts, Image
from shared.ultrahdr.segments import APP1, APP2, EXIF, ICC, Frame, Jpeg

ASPECT_TOLERANCE = 0.03  # of the ratio, beside one pixel of rounding
LARGE_ICC = 4_096  # bytes: matrix profiles stay below, tables (LUT) do not
CMYK = 4  # components
SWAPPED = "swapped_images"


def images(facts: Facts) -> Iterator[Finding]:
    """Every rule of this module."""
    yield from _primary(facts.primary)
    if facts.map is not None:
        yield from _map(facts.map, facts.primary.jpeg.frame)


def _primary(primary: Image) -> Iterator[Finding]:
    payload = primary.iso_payload
    if "GainMapMax" in primary.packet.hdrgm or (payload is not None and len(payload) > len(VERSION)):
        yield error(
            SWAPPED,
            EVERYONE,
            0,
            "the first image carries the gain map's metadata: base and gain map are exchanged",
            "put the base first and the gain map behind it",
        )
    frame = primary.jpeg.frame
    if frame is None:
        return
    if frame.components == CMYK:
        yield error(
            "cmyk_base",
            (ANDROID, VIPS),
            None,
            "the base is CMYK",
            "convert the base to YCbCr before adding a map",
        )
    elif frame.components == 1:
        yield warning(
            "grey_base",
            (ANDROID,),
            None,
            "the base is grey: libultrahdr does not decode it",
            "encode as YCbCr",
        )
    if primary.jpeg.first(APP2, ICC) is None:
        yield note("no_icc", None, "the base has no ICC profile and counts as sRGB", "keep the photo's own profile")


def _map(gain_map: Image, base: Frame | None) -> Iterator[Finding]:
    jpeg = gain_map.jpeg
    if jpeg.end is None or jpeg.frame is None:
        yield error(
            "truncated_map",
            EVERYONE,
            jpeg.start,
            "the gain map is cut off before its end marker",
            "write the whole gain map, up to and including EOI",
        )
        return
    frame = jpeg.frame
    if frame.components not in (1, 3):
        kind = "CMYK" if frame.components == CMYK else f"of {frame.components} components"
        yield error(
            "map_components",
            (ANDROID, VIPS),
            jpeg.start,
            f"the gain map is {kind}",
            "encode it grey or as YCbCr",
        )
    if base is not None and _aspects_differ(base, frame):
        yield warning(
            "wrong_aspect",
            EVERYONE,
            jpeg.start,
            f"the gain map has {frame.width}x{frame.height} pixels, the base {base.width}x{base.height}: "
            "readers stretch it without a word",
            "resize the map with the base's proportions",
        )
    yield from _extras(jpeg)


def _extras(jpeg: Jpeg) -> Iterator[Finding]:
    """What a map does not need."""
    exif = jpeg.first(APP1, EXIF)
    if exif is not None:
        yield warning(
            "exif_in_map",
            (),
            exif.start,
            "the gain map has Exif of its own; readers ignore it or differ",
            "remove it",
        )
    profile = jpeg.all_of(APP2, ICC)
    size = sum(len(segment.payload) for segment in profile)
    if size > LARGE_ICC:
        yield warning(
            "icc_in_map",
            (APPLE,),
            profile[0].start,
            f"the gain map has an ICC profile of {size} bytes; Apple's readers have hung on tables there",
            "remove the map's profile and set use_base_colour_space",
        )
    elif profile:
        yield note(
            "small_icc_in_map",
            profile[0].start,
            "the gain map has an ICC profile, which is not needed",
            "remove it",
        )


def _aspects_differ(base: Frame, gain_map: Frame) -> bool:
    """Whether no rounding of a uniformly scaled base gives the map's size."""
    if not (base.width and base.height and gain_map.width and gain_map.height):
        return False
    across, down = gain_map.width / base.width, gain_map.height / base.height
    tolerance = ASPECT_TOLERANCE * max(across, down) + max(1 / base.width, 1 / base.height)
    return abs(across - down) > tolerance
