"""The readers as instruments: what each makes of real photos, and of the fifty-two files.

`test_matrix.py` has the other columns of the fifty-two: libultrahdr, and Chromium by each way to the map.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.ultrahdr import GainMapMetadata, Severity, audit, parse
from tests.golden.mutations import matrix, recipes
from tests.golden.recipe import gain_map_image, parts
from tests.readers.check import TOLERANCE
from tests.readers.chromium import FULL, Chromium
from tests.readers.external import ExifTool, GainMapJs, libultrahdr
from tests.readers.ways import ways


@dataclass(frozen=True)
class Shown:
    """What readers make of one real photo.

    `peaks`: Chromium's brightest value on a screen of 0, 1 and 12 stops, linear light. `ways`: those of its
    ways to the map that shine (i = ISO, x = hdrgm by MPF, c = hdrgm by GContainer). `uhdr`: libultrahdr decodes
    it. `exiftool`: where it finds the map (m = MPF, c = GContainer). `stops`: gainmap-js's highest gain_map_max.
    """

    peaks: tuple[float, float, float] = (1, 1, 1)
    ways: str = ""
    uhdr: bool = False
    exiftool: str = ""
    stops: float | None = None


FLAT = Shown()
PHOTOS = {
    "ai-edit.jpg": FLAT,
    "sdr-display-p3.jpg": FLAT,
    # The map's offset is 28 bytes off, and libultrahdr alone does not look at it.
    "first-code-output-broken.jpg": Shown(uhdr=True),
    # Apple's private form shines by every way through MPF; iphone-original.jpg has it too, but no hdrgm.
    "apple_gainmap_new.jpg": Shown((1.096, 1.589, 2.737), "ix", exiftool="m"),
    "apple_gainmap_old.jpg": Shown((1.096, 1.645, 4.439), "ix", exiftool="m"),
    "iphone-original.jpg": Shown((1.029, 1.964, 6.058), "ix", uhdr=True, exiftool="m", stops=2.681641),
    "ultrahdr-iso-xmp.jpg": Shown((1.136, 2.274, 5.684), "ixc", uhdr=True, exiftool="mc", stops=2.321777),
    "libvips-ultrahdr.jpg": Shown((1, 1.417, 14.335), "xc", uhdr=True, exiftool="mc", stops=6.64386),
    # libultrahdr refuses rdf:Seq; the file has no GContainer.
    "lightroom-multichannel.jpg": Shown((1.124, 1.733, 7.393), "x", exiftool="m", stops=2.668896),
    "pixel-12mp.jpg": Shown((1.034, 2.004, 4.616), "xc", uhdr=True, exiftool="mc", stops=2.205275),
}


@dataclass(frozen=True)
class Found:
    """What exiftool and gainmap-js find in one of the fifty-two.

    `exiftool`: where it finds the whole map (m = MPF, c = GContainer). `iso`: it names the primary's ISO segment.
    `stops`: gainmap-js's gain_map_max, None where it finds no map. `whole`: that map is complete.
    """

    exiftool: str = "mc"
    iso: bool = True
    stops: float | None = 2
    whole: bool = True


FOUND = {
    "01_mpf_offset_abs_from_SOI": Found("c", stops=None),
    "02_mpf_offset_plus2": Found("c", stops=None),
    "03_mpf_gm_size_minus400": Found("c", whole=False),
    "04_mpf_gm_size_plus400": Found("c"),
    "06_no_mpf": Found("c", stops=None),
    "07_container_len_plus7": Found("m"),
    "08_no_container_dir": Found("m"),
    "11_no_iso_primary": Found(iso=False),
    "13_xmp_only_no_iso": Found(iso=False),
    "14_iso_only_no_xmp": Found("m"),
    "15_iso_max4_xmp_max2": Found(stops=4),
    "16_seed_constant_iso": Found(stops=2.681641),
    "17_truncated_gainmap": Found("", whole=False),
    "19_swapped_images": Found("", stops=None),
    "30_xmponly_BaseRenditionIsHDR_true": Found(iso=False),
    "31_xmponly_no_GainMapMax": Found(iso=False, stops=None),
    "32_xmponly_no_HDRCapacityMax": Found(iso=False, stops=None),
    "34_user_xmp_first_then_ours_noiso": Found(iso=False),
    "35_hdrgm_version_1.1_noiso": Found(iso=False),
    "39_xmponly_seed_linear_capacity_1_8": Found(iso=False),
    "42_no_iso_no_container_mpf_ok": Found("m", iso=False),
    "43_no_iso_mpf_bad_container_ok": Found("c", iso=False, stops=None),
    "47_iso_common_denom_max4_xmp2": Found(stops=4),
    # exiftool 13.59 ends with an error of its own on Item:Padding.
    "50_container_padding100": Found("", iso=False),
}
_MAPS = {"m": "MPImage2", "c": "GainMapImage"}
_WAYS = {"i": "iso", "x": "xmp", "c": "container"}


@pytest.mark.samples
@pytest.mark.chromium
@pytest.mark.parametrize("name", PHOTOS)
def test_chromium_on_real_photos(name: str, samples: Path, chromium: Chromium) -> None:
    data, expected = (samples / name).read_bytes(), PHOTOS[name]
    peaks = tuple(chromium.peak(data, headroom) for headroom in (0.0, 1.0, FULL))
    assert peaks == pytest.approx(expected.peaks, rel=TOLERANCE)
    found = chromium.four_ways(data)
    assert (found["all"] is not None) == (expected.peaks[2] > 1)
    assert "".join(sign for sign, way in _WAYS.items() if found[way] is not None) == expected.ways


@pytest.mark.samples
@pytest.mark.exiftool
@pytest.mark.gainmapjs
@pytest.mark.parametrize("name", PHOTOS)
def test_other_readers_on_real_photos(name: str, samples: Path, exiftool: ExifTool, gainmapjs: GainMapJs) -> None:
    data, expected = (samples / name).read_bytes(), PHOTOS[name]
    assert (libultrahdr(data) is not None) == expected.uhdr
    starts = {sign: exiftool.binary(data, tag)[:2] for sign, tag in _MAPS.items()}
    assert "".join(sign for sign, start in starts.items() if start == b"\xff\xd8") == expected.exiftool
    theirs, ours = gainmapjs.read(data), parse(data)
    assert (theirs and max(theirs[1]["gainMapMax"])) == pytest.approx(expected.stops, abs=1e-6)
    if theirs is not None:
        assert isinstance(ours.metadata, GainMapMetadata)
        channels = [float(value) for value in ours.metadata.gain_map_max]
        assert theirs[1]["gainMapMax"] == pytest.approx(channels * (3 // len(channels)), abs=1e-6)
        assert theirs[1]["hdrCapacityMax"] == pytest.approx(float(ours.metadata.alternate_hdr_headroom), abs=1e-6)


def _is_whole(found: bytes, name: str) -> bool:
    """Whether a reader's map begins as a JPEG and has the whole scan that went into the file."""
    recipe = recipes()[name]
    return found.startswith(b"\xff\xd8") and parts(gain_map_image(recipe.mode, recipe.map_size))[1] in found


@pytest.mark.exiftool
@pytest.mark.parametrize("name", recipes())
def test_exiftool_on_the_fifty_two(name: str, exiftool: ExifTool) -> None:
    data, expected = matrix()[name], FOUND.get(name, Found())
    found = {sign: exiftool.binary(data, tag) for sign, tag in _MAPS.items()}
    assert "".join(sign for sign, image in found.items() if _is_whole(image, name)) == expected.exiftool
    assert (b"urn:iso:std:iso:ts:21496:-1" in exiftool.binary(data, "UniformResourceName")) == expected.iso


@pytest.mark.gainmapjs
@pytest.mark.parametrize("name", recipes())
def test_gainmapjs_on_the_fifty_two(name: str, gainmapjs: GainMapJs) -> None:
    found, expected = gainmapjs.read(matrix()[name]), FOUND.get(name, Found())
    if expected.stops is None:
        assert found is None
    else:
        assert found is not None
        assert found[1]["gainMapMax"] == pytest.approx([expected.stops] * 3, abs=1e-6)
        assert _is_whole(found[0], name) == expected.whole


def test_what_the_auditor_passes_is_whole_to_every_reader() -> None:
    """No file that exiftool or gainmap-js cannot read in full goes without a warning at least."""
    grave = (Severity.ERROR, Severity.WARNING)
    passed = {name for name, data in matrix().items() if not any(f.severity in grave for f in audit(data))}
    assert "00_good" in passed
    assert passed & FOUND.keys() == set()
    assert FOUND.keys() <= recipes().keys()


def test_making_a_way_unreadable_moves_no_byte() -> None:
    for data in matrix().values():
        made = ways(data)
        assert made["all"] == data
        assert {len(file) for file in made.values()} == {len(data)}
    assert len(set(ways(matrix()["00_good"]).values())) == 4
