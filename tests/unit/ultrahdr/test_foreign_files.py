"""Files that others wrote: real photos, and what libultrahdr writes on the spot."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from shared.ultrahdr import (
    AppleGainMap,
    GainMapMetadata,
    MetadataSource,
    Severity,
    UltraHdrError,
    audit,
    parse,
)
from tests.golden.mutations import matrix
from tests.golden.recipe import photo
from tests.readers.external import ExifTool

# file, source of the metadata, highest gain_map_max in stops, alternate headroom in stops
SAMPLES = [
    ("ultrahdr-iso-xmp.jpg", MetadataSource.ISO, 2.321777, 2.321777),
    ("libvips-ultrahdr.jpg", MetadataSource.HDRGM, 6.64386, 6.64386),
    ("pixel-12mp.jpg", MetadataSource.HDRGM, 2.205275, 2.205275),
    ("lightroom-multichannel.jpg", MetadataSource.HDRGM, 2.668896, 4.0),
    ("iphone-original.jpg", MetadataSource.ISO, 2.681641, 2.681641),
]


@pytest.mark.samples
@pytest.mark.parametrize(("name", "source", "highest", "headroom"), SAMPLES)
def test_reads_real_files(name: str, source: MetadataSource, highest: float, headroom: float, samples: Path) -> None:
    file = parse((samples / name).read_bytes())
    assert file.source is source
    assert isinstance(file.metadata, GainMapMetadata)
    assert float(max(file.metadata.gain_map_max)) == pytest.approx(highest, abs=1e-5)
    assert float(file.metadata.alternate_hdr_headroom) == pytest.approx(headroom, abs=1e-5)


@pytest.mark.samples
@pytest.mark.exiftool
@pytest.mark.parametrize(
    "name", ["ultrahdr-iso-xmp.jpg", "libvips-ultrahdr.jpg", "pixel-12mp.jpg", "lightroom-multichannel.jpg"]
)
def test_finds_the_same_map_as_exiftool(name: str, samples: Path, exiftool: ExifTool) -> None:
    data = (samples / name).read_bytes()
    theirs = exiftool.binary(data, "MPImage2")
    ours = parse(data).gain_map
    assert ours is not None
    assert theirs[: len(ours)] == ours


@pytest.mark.samples
@pytest.mark.parametrize(("name", "stops"), [("apple_gainmap_new.jpg", 2.1804), ("apple_gainmap_old.jpg", 3.0)])
def test_reads_apples_private_form(name: str, stops: float, samples: Path) -> None:
    file = parse((samples / name).read_bytes())
    assert file.source is MetadataSource.APPLE
    assert isinstance(file.metadata, AppleGainMap)
    assert file.metadata.headroom == pytest.approx(stops, abs=1e-3)


@pytest.mark.samples
@pytest.mark.parametrize(
    "name", [row[0] for row in SAMPLES] + ["apple_gainmap_new.jpg", "apple_gainmap_old.jpg", "ai-edit.jpg"]
)
def test_good_files_have_no_error(name: str, samples: Path) -> None:
    assert [f for f in audit((samples / name).read_bytes()) if f.severity is Severity.ERROR] == []


@pytest.mark.samples
def test_names_the_offset_that_breaks_a_file(samples: Path) -> None:
    findings = audit((samples / "first-code-output-broken.jpg").read_bytes())
    assert findings[0].severity is Severity.ERROR
    assert findings[0].code == "mpf_offset"
    assert "259486" in findings[0].message
    assert "259458 is right" in findings[0].message


def test_reads_what_libultrahdr_writes() -> None:
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    hdr = np.ones((96, 128, 4), np.float16)
    hdr[:, :, :3] = (0.1 + 3.5 * np.exp(-((x - 64) ** 2 + (y - 48) ** 2) / 300))[:, :, None]
    data = bytes(imagecodecs.ultrahdr_encode(hdr))
    file = parse(data)
    assert file.is_hdr
    assert file.source is MetadataSource.ISO or file.source is MetadataSource.HDRGM
    assert isinstance(file.metadata, GainMapMetadata)
    assert 1.0 < float(file.metadata.gain_map_max[0]) < 6.0
    assert file.primary + (file.gain_map or b"") == data


def test_a_flat_photo_is_no_fault() -> None:
    file = parse(photo())
    assert (file.gain_map, file.metadata, file.source, file.is_hdr) == (None, None, None, False)
    assert file.primary == photo()
    assert [(f.code, f.severity) for f in audit(photo())] == [("no_gain_map", Severity.NOTE)]


def test_a_map_that_was_cut_off_is_lost_to_every_reader() -> None:
    whole = matrix()["00_good"]
    (found,) = [f for f in audit(parse(whole).primary) if f.code == "gain_map_missing"]
    assert found.severity is Severity.ERROR
    assert {name.split(" ", 1)[0] for name in found.readers} == {
        *("Chromium", "Android", "Apple", "exiftool", "gainmap-js", "libvips")
    }
    assert len([name for name in found.readers if name.startswith("Android")]) == 2  # with libultrahdr, and 14


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x89PNG\r\n", b"\xff\xd9\xff\xd8"])
def test_what_is_no_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(UltraHdrError) as caught:
        parse(data)
    assert caught.value.code == "not_a_jpeg"
