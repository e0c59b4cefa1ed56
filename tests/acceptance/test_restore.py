"""From a photo to a file that every reader shows in HDR."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from shared.options import Options
from shared.registry import read_manifest, shipped_folder
from shared.ultrahdr import GainMapMetadata, parse
from shared.ultrahdr.segments import walk
from tests.golden.mutations import matrix
from tests.golden.recipe import exif, packet, photo, profile, segment
from tests.readers.check import Readers
from worker.pipeline import Outcome, restore
from worker.predictors import Predictor, make_predictor

XMP = b"http://ns.adobe.com/xap/1.0/\0"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """The shipped default."""
    return make_predictor(next(m for m in read_manifest(shipped_folder()).values() if m.default), threads=1)


def behind_soi(*segments: bytes, base: bytes | None = None) -> bytes:
    base = photo() if base is None else base
    return base[:2] + b"".join(segments) + base[2:]


def saved(**options: object) -> bytes:
    """The base photo, encoded anew by Pillow with other settings."""
    out = io.BytesIO()
    Image.open(io.BytesIO(photo())).save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def with_thumbnail() -> bytes:
    return behind_soi(segment(0xE1, exif()))


def turned() -> bytes:
    return behind_soi(segment(0xE1, exif(6)))


def three_chunk_profile() -> bytes:
    whole = profile()
    third = len(whole) // 3 + 1
    chunks = [whole[i : i + third] for i in range(0, len(whole), third)]
    return behind_soi(*(segment(0xE2, b"ICC_PROFILE\0" + bytes((i + 1, 3)) + c) for i, c in enumerate(chunks)))


def progressive() -> bytes:
    return saved(progressive=True)


def restart_markers() -> bytes:
    return saved(restart_marker_blocks=4)


def large_xmp() -> bytes:
    title = f"<dc:title>{'x' * 65_000}</dc:title>"
    space = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    return behind_soi(segment(0xE1, XMP + packet(f'<rdf:Description rdf:about="" {space}>{title}</rdf:Description>')))


def odd_size() -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(photo())).crop((0, 0, 157, 101)).save(out, "JPEG")
    return out.getvalue()


def motion_photo() -> bytes:
    return photo() + b"\0\0\0\x18ftypmp42" + bytes(3000)


CASES = [
    photo,
    with_thumbnail,
    turned,
    three_chunk_profile,
    progressive,
    restart_markers,
    large_xmp,
    odd_size,
    motion_photo,
]


def restored(data: bytes, predictor: Predictor) -> tuple[bytes, GainMapMetadata]:
    result = restore(data, predictor, Options())
    assert result.outcome is Outcome.RESTORED
    assert result.metadata is not None
    return result.data, result.metadata


@pytest.mark.chromium
@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_every_reader_sees_hdr_and_the_base_is_the_users(
    make: Callable[[], bytes], predictor: Predictor, readers: Readers
) -> None:
    data = make()
    out, metadata = restored(data, predictor)
    readers.assert_hdr(out, metadata)
    before, after = walk(data), walk(out)
    assert data[before.scan : before.end] == out[after.scan : after.end]
    assert [s.payload for s in before.segments if s.marker == 0xE2] == [
        s.payload for s in after.segments if s.payload.startswith(b"ICC_PROFILE")
    ]


@pytest.mark.samples
@pytest.mark.chromium
@pytest.mark.parametrize("name", ["ai-edit.jpg", "sdr-display-p3.jpg"])
def test_real_photos(name: str, samples: Path, predictor: Predictor, readers: Readers) -> None:
    data = (samples / name).read_bytes()
    out, metadata = restored(data, predictor)
    if name == "ai-edit.jpg":  # sRGB: the independent rendering has no colour management
        readers.assert_hdr(out, metadata)
    peaks = readers.chromium.four_ways(out)
    assert None not in peaks.values()
    assert peaks == pytest.approx(dict.fromkeys(peaks, peaks["all"]), rel=0.01)
    assert len(out) <= 1.12 * len(data)


@pytest.mark.chromium
def test_the_map_turns_with_the_photo(predictor: Predictor, readers: Readers) -> None:
    """An upright picture and the same picture stored on its side must shine in the same places."""
    upright = Image.open(io.BytesIO(photo())).convert("RGB")
    side = io.BytesIO()
    info = Image.Exif()
    info[0x0112] = 6  # "rotate by 90 degrees clockwise to see it upright"
    upright.transpose(Image.Transpose.ROTATE_90).save(side, "JPEG", quality=98, subsampling=0, exif=info)
    plain = io.BytesIO()
    upright.save(plain, "JPEG", quality=98, subsampling=0)
    shots = [readers.chromium.render(restored(f.getvalue(), predictor)[0], 3.0) for f in (plain, side)]
    assert shots[0].shape == shots[1].shape
    assert np.abs(shots[0] - shots[1]).mean() < 0.02


def test_the_model_sees_the_same_colours_whatever_the_profile(predictor: Predictor) -> None:
    """A photo and its copy in Display P3 look alike, so their maps are alike."""
    rgb = Image.open(io.BytesIO(photo())).convert("RGB")
    wide = _display_p3()
    there = ImageCms.profileToProfile(rgb, ImageCms.createProfile("sRGB"), wide)
    assert there is not None
    files = []
    for image, icc in ((rgb, None), (there, wide.tobytes())):
        out = io.BytesIO()
        image.save(out, "JPEG", quality=98, subsampling=0, icc_profile=icc)
        files.append(out.getvalue())
    peaks = [float(restored(data, predictor)[1].gain_map_max[0]) for data in files]
    assert peaks[0] == pytest.approx(peaks[1], rel=0.05)
    assert np.asarray(rgb).tolist() != np.asarray(there).tolist()


def _display_p3() -> ImageCms.ImageCmsProfile:
    """A matrix profile with Display P3's primaries (SMPTE EG 432-1, D65) and sRGB's curve."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(x) + fixed(y) + fixed(z)

    curve = (
        b"para\0\0\0\0"
        + struct.pack(">HH", 3, 0)
        + b"".join(fixed(v) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    )
    tags = {
        b"rXYZ": xyz(0.51512, 0.2412, -0.00105), b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.1571, 0.06657, 0.78407), b"wtpt": xyz(0.9642, 1, 0.8249),
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
        b"desc": b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", 4, 28) + "P3".encode("utf-16-be"),
    }  # fmt: skip
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642) + fixed(1) + fixed(0.8249)
    head += bytes(128 - len(head))
    return ImageCms.ImageCmsProfile(io.BytesIO(head + struct.pack(">I", len(tags)) + table + body))


def test_same_input_same_bytes(predictor: Predictor) -> None:
    assert restored(photo(), predictor)[0] == restored(photo(), predictor)[0]


def test_strength_changes_metadata_alone(predictor: Predictor) -> None:
    full = restore(photo(), predictor, Options())
    half = restore(photo(), predictor, Options(strength=0.5))
    assert full.metadata is not None
    assert half.metadata is not None
    assert half.metadata.gain_map_max[0] == pytest.approx(full.metadata.gain_map_max[0] / 2, abs=1e-5)
    maps = [parse(result.data).gain_map for result in (full, half)]
    assert None not in maps
    scans = [m[walk(m).scan :] for m in maps if m is not None]
    assert scans[0] == scans[1]


def test_headroom_is_kept_below_the_limit(predictor: Predictor) -> None:
    result = restore(photo(), predictor, Options(max_headroom=0.25))
    assert result.metadata is not None
    assert float(result.metadata.alternate_hdr_headroom) == pytest.approx(0.25, abs=1e-6)


def test_hdr_is_kept_unless_told_otherwise(predictor: Predictor) -> None:
    once = restored(photo(), predictor)[0]
    again = restore(once, predictor, Options())
    assert again.outcome is Outcome.UNCHANGED
    assert again.data == once
    broken = restore(matrix()["01_mpf_offset_abs_from_SOI"], predictor, Options())
    assert broken.outcome is Outcome.UNCHANGED
    assert "mpf_offset" in broken.notes[1]
    replaced = restore(once, predictor, Options(replace=True))
    assert replaced.outcome is Outcome.RESTORED
    assert replaced.data == once
