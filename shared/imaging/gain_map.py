"""The gain-map algebra of ISO 21496-1, clause 6, and Apple's older formula, in stops."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from shared.imaging.colour import srgb_to_linear
from shared.ultrahdr import AppleGainMap, GainMapMetadata

Samples = NDArray[np.uint8]
Floats = NDArray[np.float32]


def log2_gain(samples: Samples, metadata: GainMapMetadata | AppleGainMap) -> Floats:
    """Encoded samples -> stops at full application.

    Args:
        samples: (H, W) or (H, W, 3) uint8, the decoded gain map.
        metadata: how it is to be applied.

    Returns:
        (H, W) float32, or (H, W, 3) where samples or metadata have three channels.
    """
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    if isinstance(metadata, AppleGainMap):
        table = np.log2(1 + (2.0**metadata.headroom - 1) * srgb_to_linear(levels))
        return np.asarray(table.astype(np.float32)[samples], np.float32)
    tables = [
        (low + (high - low) * levels.astype(np.float64) ** (1 / gamma)).astype(np.float32)
        for low, high, gamma in zip(
            _floats(metadata.gain_map_min), _floats(metadata.gain_map_max), _floats(metadata.gamma), strict=True
        )
    ]
    if samples.ndim == 2:
        return tables[0][samples] if len(tables) == 1 else np.stack([table[samples] for table in tables], axis=2)
    return np.stack([tables[c % len(tables)][samples[:, :, c]] for c in range(3)], axis=2)


def recovery(stops: Floats, metadata: GainMapMetadata) -> Samples:
    """Stops (H, W) or (H, W, 3) -> encoded samples uint8 of that shape, the inverse of `log2_gain`.

    All channels are encoded with the first's range, as our own metadata have it.
    """
    low, high = float(metadata.gain_map_min[0]), float(metadata.gain_map_max[0])
    if high <= low:
        return np.zeros(stops.shape, np.uint8)
    share = np.clip((stops - np.float32(low)) / np.float32(high - low), 0, 1) ** np.float32(metadata.gamma[0])
    return np.asarray(share * 255 + 0.5, np.uint8)


def weight(headroom: float, metadata: GainMapMetadata) -> float:
    """How much of the map a screen with `headroom` stops shows, 0..1."""
    base, alternate = float(metadata.base_hdr_headroom), float(metadata.alternate_hdr_headroom)
    return float(np.clip((headroom - base) / (alternate - base), 0, 1))


def apply(base: Floats, stops: Floats, metadata: GainMapMetadata | AppleGainMap, headroom: float) -> Floats:
    """Render what a screen shows.

    Args:
        base: (H, W, 3) float32, linear light in the base's primaries, 1.0 = SDR white.
        stops: (H, W) or (H, W, 3) float32, from `log2_gain`, at the base's size.
        metadata: offsets and headrooms; Apple's form has offsets of 0.
        headroom: the screen's, in stops.

    Returns:
        (H, W, 3) float32, linear light, above 1.0 where brighter than SDR white.
    """
    if stops.ndim == 2:
        stops = stops[:, :, None]
    if isinstance(metadata, AppleGainMap):
        share = min(headroom / metadata.headroom, 1.0) if metadata.headroom > 0 else 0.0
        return np.asarray(base * np.exp2(stops * np.float32(share)), np.float32)
    below = np.array(_floats(metadata.base_offset), np.float32)
    above = np.array(_floats(metadata.alternate_offset), np.float32)
    gain = np.exp2(stops * np.float32(weight(headroom, metadata)))
    return np.asarray((base + below) * gain - above, np.float32)


def _floats(channels: Sequence[Fraction]) -> list[float]:
    return [float(value) for value in channels]
