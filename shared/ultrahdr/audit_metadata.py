"""Rules on the numbers: ISO 21496-1, hdrgm, and whether both say the same.

Half of a form is an error, for whoever reads that form sees SDR; a form left out altogether is a choice, and a
warning that names whom it leaves out.
"""

from collections.abc import Iterator
from fractions import Fraction

from shared.ultrahdr import iso21496, xmp
from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.findings import (
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
from shared.ultrahdr.metadata import PER_CHANNEL, GainMapMetadata
from shared.ultrahdr.reader import Facts, Image, apple_headroom
from shared.ultrahdr.segments import APP1, APP2, ICC, XMP

TOLERANCE = Fraction(1, 1000)  # stops or linear light: rounding of another encoder, never a visible step
_READS_HDRGM = (CHROMIUM, ANDROID, OLD_ANDROID)
_RESERVED = 0xFF & ~(
    iso21496.MULTICHANNEL | iso21496.BASE_COLOR_SPACE | iso21496.COMMON_DENOMINATOR | iso21496.BACKWARD
)


def metadata(facts: Facts) -> Iterator[Finding]:
    """Every rule of this module."""
    gain_map = facts.map
    if gain_map is None:
        return
    iso = list(_iso(facts.primary, gain_map))
    hdrgm = list(_hdrgm(facts.primary, gain_map))
    yield from iso
    yield from hdrgm
    yield from _missing_forms(facts, gain_map)
    values = _iso_values(gain_map)
    others = _hdrgm_values(gain_map)
    if values is not None and others is not None:
        yield from _compare(values, others, gain_map)
    for source in {id(value): value for value in (values, others) if value is not None}.values():
        yield from _plausible(source, gain_map)
        break


def _iso(primary: Image, gain_map: Image) -> Iterator[Finding]:
    payload = gain_map.iso_payload
    full = payload is not None and len(payload) > len(iso21496.VERSION)
    if primary.iso is not None and not full:
        yield error(
            "iso_missing_in_map",
            (APPLE,),
            primary.iso.start,
            "the primary announces ISO 21496-1, but the gain map has no such payload",
            "write the ISO 21496-1 payload into the gain map's APP2",
        )
    if full and primary.iso is None:
        yield error(
            "iso_missing_in_primary",
            (CHROMIUM, APPLE),
            None,
            "the gain map has an ISO 21496-1 payload, but the primary does not announce it",
            "write the 4-byte ISO 21496-1 version segment into the primary",
        )
    if primary.iso is not None and (primary.iso_payload or b"")[:2] not in (b"", b"\0\0"):
        yield error(
            "iso_minimum_version",
            (CHROMIUM, APPLE),
            primary.iso.start,
            "minimum_version of the primary's ISO 21496-1 segment is not 0",
            "write 0; readers know no other",
        )
    if full and gain_map.iso is not None and payload is not None:
        yield from _payload(payload, gain_map.iso.start)


def _payload(payload: bytes, where: int) -> Iterator[Finding]:
    try:
        raw = iso21496.decode_raw(payload)
    except UltraHdrError as fault:
        yield error("iso_too_short", (ANDROID, APPLE, CHROMIUM), where, str(fault), "write 61 bytes, or 141 for 3 channels")
        return
    if raw.minimum_version != 0:
        yield error(
            "iso_minimum_version",
            (ANDROID, APPLE, CHROMIUM),
            where,
            f"minimum_version of the gain map's ISO 21496-1 payload is {raw.minimum_version}",
            "write 0; readers know no other",
        )
    if raw.writer_version != 0:
        yield note("iso_writer_version", where, f"writer_version is {raw.writer_version}; every reader accepts it")
    if raw.flags & iso21496.COMMON_DENOMINATOR:
        yield error(
            "iso_common_denominator",
            (CHROMIUM, APPLE),
            where,
            "flag 0x08 of a withdrawn draft is set: readers of the standard misread all that follows",
            "clear the bit and write each number with its own denominator",
        )
    if raw.flags & iso21496.BACKWARD:
        yield error(
            "iso_backward", (ANDROID,), where, "flag 0x04 of a withdrawn draft is set; libultrahdr refuses the file", "clear it"
        )
    if raw.flags & _RESERVED:
        yield warning("iso_reserved_flag", (), where, f"reserved flag bits are set: 0x{raw.flags & _RESERVED:02X}", "clear them")
    numbers = [*raw.headrooms, *(number for channel in raw.channels for number in channel)]
    if any(denominator == 0 for _, denominator in numbers):
        yield error(
            "iso_zero_denominator",
            (ANDROID, CHROMIUM, APPLE),
            where,
            "a denominator is zero: libultrahdr refuses the file, Chromium computes NaN and stays dark",
            "write a denominator that is not zero, 1000000 for example",
        )
    elif raw.minimum_version == 0 and not raw.flags & iso21496.BACKWARD:
        yield from _values(payload, where)


def _values(payload: bytes, where: int) -> Iterator[Finding]:
    try:
        iso21496.decode(payload)
    except UltraHdrError as fault:
        yield error(
            "iso_values", (ANDROID, CHROMIUM, APPLE), where, f"the ISO 21496-1 payload is refused: {fault}", "correct the values"
        )


def _hdrgm(primary: Image, gain_map: Image) -> Iterator[Finding]:
    ours = gain_map.jpeg.first(APP1, XMP)
    where = None if ours is None else ours.start
    packet = gain_map.packet
    announced = primary.packet.hdrgm or primary.packet.has_directory
    if len(primary.packets) > 1 and any(p.hdrgm or p.has_directory for p in primary.packets[1:]) and not announced:
        second = primary.jpeg.all_of(APP1, XMP)[1]
        yield error(
            "two_xmp_packets",
            (CHROMIUM, APPLE),
            second.start,
            "there are several XMP packets and the HDR properties are not in the first, the only one that is read",
            "merge the packets into one",
        )
    if announced and primary.packet.hdrgm.get("Version") != (xmp.VERSION,):
        yield error(
            "hdrgm_version_in_primary",
            _READS_HDRGM[::2],
            None,
            f"hdrgm:Version in the primary is {_shown(primary.packet.hdrgm.get('Version'))}, not 1.0",
            'write hdrgm:Version="1.0" into the primary\'s XMP',
        )
    if announced and not packet.hdrgm:
        yield error(
            "hdrgm_missing_in_map",
            _READS_HDRGM[::2],
            where,
            "the primary announces hdrgm, but the gain map's XMP has none",
            "write hdrgm attributes into the gain map's XMP",
        )
    if packet.hdrgm:
        yield from _hdrgm_map(primary, gain_map, where)


def _hdrgm_map(primary: Image, gain_map: Image, where: int | None) -> Iterator[Finding]:
    packet = gain_map.packet
    announced = primary.packet.hdrgm or primary.packet.has_directory
    if not announced and not any(p.hdrgm for p in primary.packets):
        yield error(
            "hdrgm_missing_in_primary",
            _READS_HDRGM[::2],
            None,
            "the gain map has hdrgm XMP, but the primary does not announce it",
            "write hdrgm:Version and the GContainer directory into the primary's XMP",
        )
    if packet.hdrgm.get("Version") != (xmp.VERSION,):
        yield error(
            "hdrgm_version_in_map",
            _READS_HDRGM,
            where,
            f"hdrgm:Version in the gain map is {_shown(packet.hdrgm.get('Version'))}, not 1.0",
            'write hdrgm:Version="1.0"',
        )
    if packet.hdrgm.get("BaseRenditionIsHDR", ("False",))[0].lower() == "true":
        yield error(
            "base_rendition_is_hdr",
            _READS_HDRGM,
            where,
            "hdrgm:BaseRenditionIsHDR is True: libultrahdr refuses the file, Chromium darkens the picture",
            'write "False"',
        )
    for name in ("GainMapMax", "HDRCapacityMax"):
        if name not in packet.hdrgm:
            yield error(
                f"hdrgm_no_{'gain_map_max' if name == 'GainMapMax' else 'hdr_capacity_max'}",
                (ANDROID, CHROMIUM, GAINMAP_JS),
                where,
                f"hdrgm:{name} is missing: libultrahdr refuses the file, Chromium assumes 1",
                f"write hdrgm:{name}",
            )
        elif name not in packet.plain and gain_map.iso is None:
            yield warning(
                "hdrgm_not_attributes",
                (ANDROID,),
                where,
                f"hdrgm:{name} is an element, not an attribute; libultrahdr reads attributes only",
                "write single values as attributes, and an ISO 21496-1 payload beside them",
            )
    try:
        xmp.metadata_of(packet)
    except UltraHdrError as fault:
        if fault.code == "bad_metadata" or "not a number" in str(fault):
            yield error("hdrgm_values", _READS_HDRGM, where, f"the hdrgm values are refused: {fault}", "correct the values")


def _shown(version: tuple[str, ...] | None) -> str:
    return "missing" if version is None else ", ".join(version)


def _missing_forms(facts: Facts, gain_map: Image) -> Iterator[Finding]:
    iso = gain_map.iso is not None or facts.primary.iso is not None
    hdrgm = bool(gain_map.packet.hdrgm or facts.primary.packet.hdrgm)
    if not iso and not hdrgm:
        readable = apple_headroom(facts.primary, gain_map) is not None
        make = warning if readable else error
        yield make(
            "apple_only" if readable else "apple_without_headroom",
            (ANDROID, OLD_ANDROID, GAINMAP_JS) if readable else EVERYONE,
            gain_map.jpeg.start,
            "the gain map is in Apple's private form alone" + ("" if readable else ", and its headroom is nowhere"),
            "write ISO 21496-1 and hdrgm beside it",
        )
    elif not iso:
        yield warning(
            "no_iso",
            (APPLE,),
            gain_map.jpeg.start,
            "there is no ISO 21496-1 metadata: Apple's readers show SDR",
            "write the ISO 21496-1 segments beside hdrgm",
        )
    elif not hdrgm:
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
            f"headrooms of {float(values.base_hdr_headroom):g} to {float(values.alternate_hdr_headroom):g} stops look like "
            "linear factors: no screen below the first shows any gain, and few reach the second",
            "write log2 of the factors: 1 becomes 0, 8 becomes 3",
        )
    elif values.base_hdr_headroom > 0:
        yield note("base_headroom", where, "the base is shown alone up to a headroom above 0 stops")
    frame = gain_map.jpeg.frame
    if frame is not None and values.channels == 3 and frame.components == 1:
        yield note("three_channels_on_grey", where, "metadata for three channels on a grey map: legal")
    if not values.use_base_color_space and gain_map.jpeg.first(APP2, ICC) is None:
        yield note("map_color_space", where, "the map's own colour space applies, and without a profile that is sRGB")
