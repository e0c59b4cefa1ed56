"""The one assertion for every file that the tests write: all readers see HDR, and the same HDR."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.ultrahdr import GainMapMetadata, MetadataSource, audit, parse
from shared.ultrahdr.auditor.findings import Severity
from tests.readers.chromium import Chromium
from tests.readers.external import ExifTool, GainMapJs, libultrahdr

TOLERANCE = 0.01  # relative: JPEG decoders and half floats differ by less

OFFSET = 1 / 64  # linear light: below, differences in stops are noise
TYPICAL = 0.02  # stops: the median difference between two renderings

# ISO 21496-1's names, which are ours; hdrgm's, as exiftool prints them; gainmap-js's.
NAMES = [
    ("gain_map_min", "GainMapMin", "gainMapMin"),
    ("gain_map_max", "GainMapMax", "gainMapMax"),
    ("gamma", "Gamma", "gamma"),
    ("base_offset", "OffsetSDR", "offsetSdr"),
    ("alternate_offset", "OffsetHDR", "offsetHdr"),
    ("base_hdr_headroom", "HDRCapacityMin", "hdrCapacityMin"),
    ("alternate_hdr_headroom", "HDRCapacityMax", "hdrCapacityMax"),
]
DECIMALS = 1e-6  # both forms write millionths


@dataclass(frozen=True)
class Readers:
    """The independent readers together."""

    chromium: Chromium
    exiftool: ExifTool
    gainmapjs: GainMapJs

    def assert_hdr(self, data: bytes, metadata: GainMapMetadata) -> None:
        """Fail unless libultrahdr, exiftool, gainmap-js and Chromium by four ways agree with `metadata`."""
        assert metadata.channels == 1, "the rendering below knows maps of one channel"
        gain_map = parse(data).gain_map
        assert gain_map is not None
        assert parse(data).source is MetadataSource.ISO
        assert [finding for finding in audit(data) if finding.severity is not Severity.NOTE] == []
        self._exiftool(data, gain_map, metadata)
        self._gainmapjs(data, gain_map, metadata)
        self._pixels(data, gain_map, metadata)

    def _exiftool(self, data: bytes, gain_map: bytes, metadata: GainMapMetadata) -> None:
        assert self.exiftool.binary(data, "MPImage2") == gain_map
        assert self.exiftool.binary(data, "GainMapImage") == gain_map
        tags = self.exiftool.tags(gain_map)
        for ours, theirs, _ in NAMES:
            assert float(tags[f"XMP-hdrgm:{theirs}"]) == pytest.approx(_first(metadata, ours), abs=DECIMALS), ours

    def _gainmapjs(self, data: bytes, gain_map: bytes, metadata: GainMapMetadata) -> None:
        found = self.gainmapjs.read(data)
        assert found is not None
        assert found[0] == gain_map
        for ours, _, theirs in NAMES:
            values = np.atleast_1d(found[1][theirs])
            assert values == pytest.approx(np.full(values.shape, _first(metadata, ours)), abs=DECIMALS), ours

    def _pixels(self, data: bytes, gain_map: bytes, metadata: GainMapMetadata) -> None:
        peaks = self.chromium.four_ways(data)
        truth = rendered(data, gain_map, metadata)
        expected = float(truth.max())
        assert all(peak is not None for peak in peaks.values()), peaks
        assert peaks == pytest.approx(dict.fromkeys(peaks, expected), rel=TOLERANCE)
        linear = libultrahdr(data)
        assert linear is not None
        # It enlarges the map by another kernel than bilinear: single pixels differ, the picture does not.
        apart = np.abs(np.log2((linear + OFFSET) / (np.maximum(truth, 0) + OFFSET)))
        assert float(np.median(apart)) < TYPICAL
        assert float(linear.max()) == pytest.approx(expected, rel=0.05)


def _first(metadata: GainMapMetadata, name: str) -> float:
    """A number, or the first channel's: what we write has one channel."""
    value = getattr(metadata, name)
    return float(value[0] if isinstance(value, tuple) else value)


def rendered(data: bytes, gain_map: bytes, metadata: GainMapMetadata) -> NDArray[np.float32]:
    """Full application by the standard's formula, written here anew: (H, W, 3) linear light."""
    with Image.open(io.BytesIO(data)) as image:
        base: NDArray[np.float64] = np.asarray(image.convert("RGB"), np.float64) / 255
    with Image.open(io.BytesIO(gain_map)) as image:
        recovery = np.asarray(image.convert("L"), np.float32) / 255
    large = cv2.resize(recovery, (base.shape[1], base.shape[0]), interpolation=cv2.INTER_LINEAR)
    linear = np.where(base <= 0.04045, base / 12.92, ((base + 0.055) / 1.055) ** 2.4)
    low, high = float(metadata.gain_map_min[0]), float(metadata.gain_map_max[0])
    stops = low + (high - low) * np.asarray(large, np.float32) ** (1 / float(metadata.gamma[0]))
    gain = np.exp2(stops)[:, :, None]
    out = (linear + float(metadata.base_offset[0])) * gain - float(metadata.alternate_offset[0])
    return np.asarray(out, np.float32)
