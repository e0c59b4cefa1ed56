"""Rules on hdrgm XMP, in the primary and in the gain map."""

from collections.abc import Iterator

from shared.ultrahdr.auditor.findings import (
    ANDROID,
    APPLE,
    CHROMIUM,
    GAINMAP_JS,
    OLD_ANDROID,
    Finding,
    error,
    warning,
)
from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.reader import Image
from shared.ultrahdr.segments import APP1, XMP
from shared.ultrahdr.xmp import read as xmp

_READS_HDRGM = (CHROMIUM, ANDROID, OLD_ANDROID)


def hdrgm(primary: Image, gain_map: Image) -> Iterator[Finding]:
    """Every rule of this module."""
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
            "the HDR properties are not in the first of several XMP packets, the only one that is read",
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
    yield from _needed(gain_map, where)
    try:
        xmp.metadata_of(packet)
    except UltraHdrError as fault:
        if fault.code == "bad_metadata" or "not a number" in str(fault):
            yield error(
                "hdrgm_values",
                _READS_HDRGM,
                where,
                f"the hdrgm values are refused: {fault}",
                "correct the values",
            )


def _needed(gain_map: Image, where: int | None) -> Iterator[Finding]:
    packet = gain_map.packet
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


def _shown(version: tuple[str, ...] | None) -> str:
    return "missing" if version is None else ", ".join(version)
