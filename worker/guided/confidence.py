"""What is said about a guided map: how much of it is true, how much predicted, and how far off it may be."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from worker.guided.align import Alignment

GUESS: Final = 0.5  # stops: the error of a map that knows nothing of the photo; confidence is 0 from there
QUANTISED: Final = 0.006  # stops: what 8 bits and JPEG cost the stored map, mean


@dataclass(frozen=True, slots=True)
class Guided:
    """What became of an original.

    `transferred` and `predicted` are shares of the picture and make 1; `expected_error_stops` is the mean error to
    be expected over the whole map, None where nothing could be held out to measure it; `reason` says why the
    original was not used, where it was not.
    """

    transferred: float
    predicted: float
    expected_error_stops: float | None
    transferred_error_stops: float | None
    predicted_error_stops: float | None
    alignment: Alignment | None
    channels: int = 1
    reason: str | None = None

    @property
    def confidence(self) -> float:
        """1 where no error is expected, 0 from `GUESS` stops on and where none could be measured."""
        if self.expected_error_stops is None:
            return 0.0
        return max(0.0, 1 - self.expected_error_stops / GUESS)

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return {
            "transferred": round(self.transferred, 4),
            "predicted": round(self.predicted, 4),
            "expected_error_stops": _rounded(self.expected_error_stops),
            "transferred_error_stops": _rounded(self.transferred_error_stops),
            "predicted_error_stops": _rounded(self.predicted_error_stops),
            "confidence": round(self.confidence, 4),
            "channels": self.channels,
            "alignment": None if self.alignment is None else self.alignment.to_json(),
            "reason": self.reason,
        }


def unguided(reason: str, alignment: Alignment | None) -> Guided:
    """What is said where the network worked alone."""
    return Guided(0.0, 1.0, None, None, None, alignment, reason=reason)


def transfer_error(stops: NDArray[np.float32], mask: NDArray[np.float32], shift: float) -> float:
    """Mean error of a copied map (h, w) where the mask is 0: storage, and an alignment off by `shift` map pixels."""
    down, across = np.gradient(stops)
    slip = np.hypot(down, across) * shift / 2  # half of it lies along the gradient on average
    weight = 1 - mask
    return QUANTISED + float((weight * slip).sum() / max(float(weight.sum()), 1.0))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
