"""What a browser tells of its screen, and how sure a share of many of them is: values, no I/O."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

NORMAL_95: Final = 1.959964  # standard deviations: 95 % of a normal distribution lie within


class DynamicRange(StrEnum):
    """CSS's media feature `dynamic-range`."""

    STANDARD = "standard"
    HIGH = "high"


class Gamut(StrEnum):
    """CSS's media feature `color-gamut`, the widest that holds."""

    NONE = "none"
    SRGB = "srgb"
    P3 = "p3"
    REC2020 = "rec2020"


class Renderer(StrEnum):
    """Who made the graphics unit; no more of its name leaves the browser."""

    ADRENO = "adreno"
    AMD = "amd"
    APPLE = "apple"
    INTEL = "intel"
    MALI = "mali"
    NVIDIA = "nvidia"
    POWERVR = "powervr"
    SOFTWARE = "software"
    XCLIPSE = "xclipse"
    OTHER = "other"
    NONE = "none"  # no WebGL, or the browser does not say


class Family(StrEnum):
    """A browser, whatever its version."""

    CHROME = "chrome"
    EDGE = "edge"
    FIREFOX = "firefox"
    OPERA = "opera"
    SAFARI = "safari"
    SAMSUNG = "samsung"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one view of a page told."""

    dynamic_range: DynamicRange
    gamut: Gamut
    renderer: Renderer
    browser: Family


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    high: int
    all: int

    @property
    def value(self) -> float | None:
        """0 to 1; None of nothing."""
        return self.high / self.all if self.all else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the true share lies with 95 % confidence, were these drawn at random; None of nothing."""
        return wilson(self.high, self.all) if self.all else None


def wilson(successes: int, trials: int, deviations: float = NORMAL_95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927): right for few trials and for shares near 0 and 1, too.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is no share")
    share, square = successes / trials, deviations**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = deviations / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def day_of(seconds: float) -> str:
    """A time's day, UTC: YYYY-MM-DD, which sorts as time does."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
