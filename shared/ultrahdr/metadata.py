"""Gain-map metadata as one value, from which both standards are written.

Names are ISO 21496-1's. Every number is a rational with the denominator 1,000,000, which is what the ISO
payload stores and what six decimals of hdrgm XMP say: the two forms cannot differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from shared.ultrahdr.errors import UltraHdrError

DENOMINATOR: Final = 1_000_000  # of every number that we write
LIMIT: Final = 2147  # numerators are signed 32 bit: |value| * DENOMINATOR < 2**31
PER_CHANNEL: Final = ("gain_map_min", "gain_map_max", "gamma", "base_offset", "alternate_offset")

Channels = tuple[Fraction, ...]


class MetadataSource(StrEnum):
    """Which of a file's metadata forms was read."""

    ISO = "iso"
    HDRGM = "hdrgm"
    APPLE = "apple"


@dataclass(frozen=True, slots=True)
class GainMapMetadata:
    """How a gain map is to be applied (ISO 21496-1, clause 5.2).

    `gain_map_min`, `gain_map_max` and both headrooms are log2 (stops); offsets are linear light with
    1.0 = SDR white; `gamma` is the encoder's exponent. Tuples hold one or three channels.

    Raises:
        UltraHdrError: `bad_metadata`, for values that no reader accepts.
    """

    gain_map_min: Channels
    gain_map_max: Channels
    gamma: Channels
    base_offset: Channels
    alternate_offset: Channels
    base_hdr_headroom: Fraction
    alternate_hdr_headroom: Fraction
    use_base_color_space: bool = True

    def __post_init__(self) -> None:
        counts = {len(getattr(self, name)) for name in PER_CHANNEL}
        if counts not in ({1}, {3}):
            raise _bad(f"every field needs one or three channels, found {sorted(counts)}")
        if any(high < low for low, high in zip(self.gain_map_min, self.gain_map_max, strict=True)):
            raise _bad("gain_map_max is below gain_map_min; exchange them")
        if any(gamma <= 0 for gamma in self.gamma):
            raise _bad("gamma must be above 0")
        if any(offset < 0 for offset in (*self.base_offset, *self.alternate_offset)):
            raise _bad("offsets must be 0 or more")
        if self.base_hdr_headroom < 0:
            raise _bad("base_hdr_headroom must be 0 or more")
        if self.alternate_hdr_headroom <= self.base_hdr_headroom:
            raise _bad("alternate_hdr_headroom must be above base_hdr_headroom")
        if any(abs(value) >= LIMIT for value in self._values()):
            raise _bad(f"every value must be smaller than {LIMIT}; these are stops, not linear factors")

    @property
    def channels(self) -> int:
        """One or three."""
        return len(self.gain_map_max)

    @classmethod
    def from_floats(  # noqa: PLR0913  (the fields of ISO 21496-1)
        cls,
        *,
        gain_map_min: float | Sequence[float],
        gain_map_max: float | Sequence[float],
        gamma: float | Sequence[float],
        base_offset: float | Sequence[float],
        alternate_offset: float | Sequence[float],
        base_hdr_headroom: float,
        alternate_hdr_headroom: float,
        use_base_color_space: bool = True,
    ) -> "GainMapMetadata":
        """Round plain numbers to what can be written; one number stands for all channels.

        Raises:
            UltraHdrError: `bad_metadata`.
        """
        given = (gain_map_min, gain_map_max, gamma, base_offset, alternate_offset)
        lists = [list(field) if isinstance(field, Sequence) else [field] for field in given]
        most = max(len(field) for field in lists)
        low, high, gammas, base, alternate = (
            tuple(quantised(value) for value in (field * most if len(field) == 1 else field)) for field in lists
        )
        return cls(
            low,
            high,
            gammas,
            base,
            alternate,
            quantised(base_hdr_headroom),
            quantised(alternate_hdr_headroom),
            use_base_color_space,
        )

    def to_json(self) -> dict[str, float | bool | list[float]]:
        """Plain numbers by ISO name; a list where channels differ."""
        named: dict[str, float | bool | list[float]] = {}
        for name in PER_CHANNEL:
            values = [float(value) for value in getattr(self, name)]
            named[name] = values[0] if len(set(values)) == 1 else values
        named["base_hdr_headroom"] = float(self.base_hdr_headroom)
        named["alternate_hdr_headroom"] = float(self.alternate_hdr_headroom)
        named["use_base_color_space"] = self.use_base_color_space
        return named

    def _values(self) -> list[Fraction]:
        channels = [value for name in PER_CHANNEL for value in getattr(self, name)]
        return [*channels, self.base_hdr_headroom, self.alternate_hdr_headroom]


@dataclass(frozen=True, slots=True)
class AppleGainMap:
    """Apple's private form, headroom in stops: linear gain 1 + (2**headroom - 1) * srgb_to_linear(sample)."""

    headroom: float

    def to_json(self) -> dict[str, float | bool | list[float]]:
        """The headroom in stops."""
        return {"headroom": self.headroom}


def quantised(value: float) -> Fraction:
    """The nearest number that both standards can say.

    Raises:
        UltraHdrError: `bad_metadata`, for infinities and NaN.
    """
    if not math.isfinite(value):
        raise _bad("infinite values and NaN cannot be written")
    return Fraction(round(Fraction(value) * DENOMINATOR), DENOMINATOR)


def _bad(reason: str) -> UltraHdrError:
    return UltraHdrError("bad_metadata", f"gain-map metadata: {reason}")
