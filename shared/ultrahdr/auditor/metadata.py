"""Rules on the numbers: ISO 21496-1, hdrgm, and whether both say the same.

Half of a form is an error, for whoever reads that form sees SDR; a form left out altogether is a choice, and
a warning that names whom it leaves out.
"""

from collections.abc import Iterator
from fractions import Fraction

from shared.ultrahdr import iso21496
from shared.ultrahdr.auditor.findings import (
    ANDROID,
    APPLE,
    CHROMIUM,
    EVERYONE,
    GAINMAP_JS,
    OLD_ANDROID,
    VIPS,
    Finding,
    error,
    note,
    warning,
)
from shared.ultrahdr.auditor.hdrgm import hdrgm
from shared.ultrahdr.auditor.iso import iso
from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.metadata import PER_CHANNEL, GainMapMetadata
from shared.ultrahdr.reader import Facts, Image, apple_headroom
from shared.ultrahdr.segments import APP2, ICC
from shared.ultrahdr.xmp import read as xmp

TOLERANCE = Fraction(1, 1000)  # stops or linear light: rounding of another encoder, never a visible step


def metadata(facts: Facts) -> Iterator[Finding]:
    """Every rule of this module."""
    gain_map = facts.map
    if gain_map is None:
        return
    yield from iso(facts.primary, gain_map)
    yield from hdrgm(facts.primary, gain_map)
    yield from _missing_forms(facts, gain_map)
    values = _iso_values(gain_map)
    others = _hdrgm_values(gain_map)
    if values is not None and others is not None:
        yield from _compare(values, others, gain_map)
    source = values if values is not None else others
    if source is not None:
        yield from _plausible(source, gain_map)


def _missing_forms(facts: Facts, gain_map: Image) -> Iterator[Finding]:
    has_iso = gain_map.iso is not None or facts.primary.iso is not None
    has_hdrgm = bool(gain_map.packet.hdrgm or facts.primary.packet.hdrgm)
    if not has_iso and not has_hdrgm:
        readable = apple_headroom(facts.primary, gain_map) is not None
        make = warning if readable else error
        yield make(
            "apple_only" if readable else "apple_without_headroom",
            (ANDROID, OLD_ANDROID, GAINMAP_JS) if readable else EVERYONE,
            gain_map.jpeg.start,
            "the gain map is in Apple's private form alone" + ("" if readable else ", and its headroom is nowhere"),
            "write ISO 21496-1 and hdrgm beside it",
        )
    elif not has_iso:
        yield warning(
            "no_iso",
            (APPLE,),
            gain_map.jpeg.start,
            "there is no ISO 21496-1 metadata: Apple's readers show SDR",
            "write the ISO 21496-1 segments beside hdrgm",
        )
    elif not has_hdrgm:
        yield warning(
            "no_hdrgm",
            (OLD_ANDROID,),
            gain_map.jpeg.start,
            "there is no hdrgm XMP: readers from before ISO 21496-1 show SDR",
            "write hdrgm XMP and the GContainer directory beside ISO 21496-1",
        )


def _iso_values(gain_map: Image) -> GainMapMetadata | None:
    try:
        return None if gain_map.iso_payload is None else iso21496.decode(gain_map.iso_payload)
    except UltraHdrError:
        return None


def _hdrgm_values(gain_map: Image) -> GainMapMetadata | None:
    try:
        return xmp.metadata_of(gain_map.packet) if gain_map.packet.hdrgm else None
    except UltraHdrError:
        return None


def _compare(iso: GainMapMetadata, hdrgm: GainMapMetadata, gain_map: Image) -> Iterator[Finding]:
    different = []
    for name in (*PER_CHANNEL, "base_hdr_headroom", "alternate_hdr_headroom"):
        ours, theirs = _channels(getattr(iso, name)), _channels(getattr(hdrgm, name))
        if any(abs(a - b) > TOLERANCE for a, b in zip(ours, theirs, strict=True)):
            different.append(f"{name} {_text(ours)} and {_text(theirs)}")
    if different:
        yield error(
            "iso_hdrgm_differ",
            (CHROMIUM, ANDROID, APPLE, VIPS),
            None if gain_map.iso is None else gain_map.iso.start,
            f"ISO 21496-1 and hdrgm differ, so viewers show different brightness: {'; '.join(different)}",
            "write both forms from the same numbers",
        )


def _channels(value: Fraction | tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    values = value if isinstance(value, tuple) else (value,)
    return values * 3 if len(values) == 1 else values


def _text(values: tuple[Fraction, ...]) -> str:
    return "/".join(f"{float(value):.4g}" for value in dict.fromkeys(values))


def _plausible(values: GainMapMetadata, gain_map: Image) -> Iterator[Finding]:
    where = gain_map.jpeg.start
    if values.base_hdr_headroom >= 1 and values.alternate_hdr_headroom > max(values.gain_map_max):
        yield error(
            "linear_in_log2",
            (CHROMIUM, ANDROID, APPLE),
            where,
            f"headrooms of {float(values.base_hdr_headroom):g} and {float(values.alternate_hdr_headroom):g} "
            "look like linear factors: no screen below the first shows any gain, and few reach the second",
            "write log2 of the factors: 1 becomes 0, 8 becomes 3",
        )
    elif values.base_hdr_headroom > 0:
        yield note("base_headroom", where, "the base is shown alone up to a headroom above 0 stops")
    frame = gain_map.jpeg.frame
    if frame is not None and values.channels == 3 and frame.components == 1:
        yield note("three_channels_on_grey", where, "metadata for three channels on a grey map: legal")
    if not values.use_base_color_space and gain_map.jpeg.first(APP2, ICC) is None:
        yield note("map_color_space", where, "the map's own colour space applies, and without a profile that is sRGB")
