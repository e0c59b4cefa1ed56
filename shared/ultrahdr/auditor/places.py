"""Rules on where things lie: MPF, GContainer, padding and what follows the map."""

from collections.abc import Iterator

from shared.ultrahdr import mpf
from shared.ultrahdr.auditor.findings import (
    APPLE,
    CHROMIUM,
    EVERYONE,
    EXIFTOOL,
    GAINMAP_JS,
    OLD_ANDROID,
    VIPS,
    Finding,
    error,
    note,
    warning,
)
from shared.ultrahdr.reader import Facts
from shared.ultrahdr.segments import APP0, APP1, EXIF, JFIF, XMP, Segment
from shared.ultrahdr.xmp.read import ContainerItem

_BY_MPF = (CHROMIUM, APPLE, EXIFTOOL, GAINMAP_JS, VIPS)


def places(facts: Facts) -> Iterator[Finding]:
    """Every rule of this module."""
    if facts.map is None:
        yield error(
            "gain_map_missing",
            EVERYONE,
            facts.expected,
            "the primary announces a gain map; none is found by MPF, by GContainer, or behind the primary",
            "append the gain-map JPEG right behind the primary's EOI and write MPF and GContainer anew",
        )
    yield from _mpf(facts)
    yield from _container(facts)
    yield from _behind(facts)
    yield from _order(facts)


def _mpf(facts: Facts) -> Iterator[Finding]:
    segment = facts.mpf_segment
    if segment is None:
        yield error(
            "no_mpf",
            _BY_MPF,
            None,
            "there is no MPF segment: without one Chromium does not look for a gain map at all",
            "write an MPF segment with two entries into the primary",
        )
        return
    if facts.mpf_fault is not None or len(facts.entries) < 2:
        reason = facts.mpf_fault or f"it has {len(facts.entries)} entry, not two"
        yield error("bad_mpf", _BY_MPF, segment.start, f"the MPF segment is unusable: {reason}", "write it anew")
        return
    yield from _primary_entry(facts, segment)
    if facts.map is not None:
        yield from _map_entry(facts, segment, facts.map.jpeg.start)


def _primary_entry(facts: Facts, segment: Segment) -> Iterator[Finding]:
    first = facts.entries[0]
    if first.offset != 0 or first.type_code != mpf.PRIMARY_TYPE:
        yield error(
            "mpf_primary_entry",
            (CHROMIUM, VIPS),
            segment.start,
            f"the first MP entry has offset {first.offset} and type {first.type_code:06X}, "
            f"not 0 and {mpf.PRIMARY_TYPE:06X}",
            "the first entry is the primary: offset 0, type 030000",
        )
    if first.size != facts.primary.jpeg.end:
        yield note(
            "mpf_primary_size",
            segment.start,
            f"MPF gives the primary {first.size} bytes, it has {facts.primary.jpeg.end}; no reader minds",
            "write the size up to and including EOI",
        )


def _map_entry(facts: Facts, segment: Segment, start: int) -> Iterator[Finding]:
    base = segment.start + mpf.HEADER_OFFSET
    entry = next((e for e in facts.entries[1:] if facts.absolute(e) == start), None)
    if entry is None:
        entry = facts.entries[1]
        found, expected = entry.offset, start - base
        why = ""
        if found == start:
            why = f"; it was counted from the file's start instead of from byte {base}, behind 'MPF\\0'"
        yield error(
            "mpf_offset",
            _BY_MPF,
            segment.start,
            f"the MPF offset of the gain map is {found}, which is byte {base + found}, "
            f"{_what(facts, base + found)}; the gain map begins at byte {start}, so {expected} is right{why}",
            f"write {expected} as the second MP entry's offset",
        )
    yield from _map_size(facts, entry, segment, start)


def _map_size(facts: Facts, entry: mpf.MpEntry, segment: Segment, start: int) -> Iterator[Finding]:
    end = facts.map.jpeg.end if facts.map is not None else None
    if end is None:
        return  # the truncated map is a finding of its own
    actual = end - start
    if entry.size < actual:
        yield error(
            "mpf_map_size_short",
            (CHROMIUM, APPLE, VIPS),
            segment.start,
            f"MPF gives the gain map {entry.size} bytes; it has {actual}: readers cut off its lower part",
            f"write {actual} as the second MP entry's size",
        )
    elif start + entry.size > len(facts.data):
        yield error(
            "mpf_map_size_long",
            _BY_MPF,
            segment.start,
            f"MPF gives the gain map {entry.size} bytes, beyond the end of the file; it has {actual}",
            f"write {actual} as the second MP entry's size",
        )
    elif entry.size > actual:
        yield note(
            "mpf_map_size_loose",
            segment.start,
            f"MPF gives the gain map {entry.size} bytes; it has {actual}, the rest is something else",
            f"write {actual} as the second MP entry's size",
        )


def _what(facts: Facts, position: int) -> str:
    return "beyond the end of the file" if position >= len(facts.data) else "where no JPEG begins"


def _container(facts: Facts) -> Iterator[Finding]:
    packet = facts.primary.packet
    segment = facts.primary.jpeg.first(APP1, XMP)
    where = None if segment is None else segment.start
    if not packet.has_directory:
        if packet.hdrgm:
            yield warning(
                "no_container",
                (EXIFTOOL,),
                where,
                "the primary's XMP has no GContainer directory, which Ultra HDR v1 requires",
                "add Container:Directory with items Primary and GainMap",
            )
        return
    if not any(item.semantic == "Primary" for item in packet.items[:1]):
        yield error(
            "container_order",
            (EXIFTOOL, OLD_ANDROID),
            where,
            "the first item of the GContainer directory is not Primary",
            "list Primary first",
        )
    if any(not item.mime for item in packet.items):
        yield error(
            "container_mime",
            (EXIFTOOL, OLD_ANDROID),
            where,
            "a GContainer item has no Item:Mime",
            "write image/jpeg",
        )
    if facts.map is not None and facts.map.jpeg.end is not None:
        yield from _container_place(facts, where, facts.map.jpeg.start, facts.map.jpeg.end)


def _container_place(facts: Facts, where: int | None, start: int, end: int) -> Iterator[Finding]:
    position = facts.expected
    for item in facts.primary.packet.items:
        if item.semantic == "GainMap":
            if item.length != end - start:
                yield error(
                    "container_length",
                    (EXIFTOOL, OLD_ANDROID),
                    where,
                    f"GContainer gives the gain map {item.length} bytes; it has {end - start} in all",
                    f'write Item:Length="{end - start}"',
                )
            if position != start:
                yield error(
                    "container_place",
                    (EXIFTOOL, OLD_ANDROID),
                    where,
                    f"by GContainer the gain map begins at byte {position}; it begins at {start}",
                    "leave no bytes between the images, or name them as the primary's Item:Padding",
                )
            return
        position += (item.length or 0) + item.padding


def _behind(facts: Facts) -> Iterator[Finding]:
    if facts.map is None or facts.map.jpeg.end is None:
        return
    start, end = facts.map.jpeg.start, facts.map.jpeg.end
    if start > facts.expected:
        yield warning(
            "padding",
            (EXIFTOOL,),
            facts.expected,
            f"{start - facts.expected} bytes lie between the primary and the gain map",
            "write the gain map right behind the primary's EOI",
        )
    listed = sum(item.length or 0 for item in _after_map(facts))
    if end < len(facts.data) and end + listed != len(facts.data):
        yield warning(
            "trailing_bytes",
            (EXIFTOOL, APPLE),
            end,
            f"{len(facts.data) - end} bytes follow the gain map and are no item of the GContainer",
            "remove them, or list them (a motion photo's video, for example) as a Container:Item",
        )


def _after_map(facts: Facts) -> tuple[ContainerItem, ...]:
    items = facts.primary.packet.items
    index = next((i for i, item in enumerate(items) if item.semantic == "GainMap"), len(items))
    return items[index + 1 :]


def _order(facts: Facts) -> Iterator[Finding]:
    segments = facts.primary.jpeg.segments
    exifs = facts.primary.jpeg.all_of(APP1, EXIF)
    if len(exifs) > 1:
        yield warning(
            "two_exif",
            (),
            exifs[1].start,
            f"there are {len(exifs)} Exif segments; which one counts differs by reader",
            "keep the first",
        )
    jfif = facts.primary.jpeg.first(APP0, JFIF)
    if jfif is not None and segments and segments[0] is not jfif:
        yield note("jfif_not_first", jfif.start, "JFIF is not the first segment, as JFIF 1.02 wants it")
    if facts.mpf_segment is not None and exifs and facts.mpf_segment.start < exifs[0].start:
        yield note(
            "mpf_before_exif",
            facts.mpf_segment.start,
            "MPF comes before Exif; CIPA DC-007 5.1 wants it behind",
        )
