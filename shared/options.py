"""What a caller may choose for one photo."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import RestoreError

STRENGTH_MIN: Final = 0.1  # below, the file would say HDR and show none
STRENGTH_MAX: Final = 2.0  # above, noise in the map shows
HEADROOM_MIN: Final = 0.1  # stops
HEADROOM_MAX: Final = 6.0  # stops: no screen shows more


class MetadataOf(StrEnum):
    """Whose camera data the result carries."""

    EDIT = "edit"
    ORIGINAL = "original"


class WrongOriginal(StrEnum):
    """What to do with an original that is not the edit's, or that its map cannot be trusted for."""

    REFUSE = "refuse"
    UNGUIDED = "unguided"


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose.

    `strength` scales every stop; `max_headroom` (stops), where set, lowers the strength so far that the
    map's headroom stays below it: both in the metadata alone. The last three matter with an original:
    `metadata` copies capture date, camera, GPS and user XMP from it; below `min_confidence` (0..1) it counts as
    wrong.
    """

    strength: float = 1.0
    max_headroom: float | None = None
    replace: bool = False
    metadata: MetadataOf = MetadataOf.EDIT
    min_confidence: float = 0.0
    on_wrong_original: WrongOriginal = WrongOriginal.REFUSE

    def __post_init__(self) -> None:
        if not STRENGTH_MIN <= self.strength <= STRENGTH_MAX:
            raise RestoreError(
                "bad_strength", f"strength {self.strength:g} is out of range: give {STRENGTH_MIN:g} to {STRENGTH_MAX:g}"
            )
        if self.max_headroom is not None and not HEADROOM_MIN <= self.max_headroom <= HEADROOM_MAX:
            raise RestoreError(
                "bad_max_headroom",
                f"max headroom {self.max_headroom:g} is out of range: give {HEADROOM_MIN:g} to {HEADROOM_MAX:g} stops",
            )
        if self.metadata not in tuple(MetadataOf) or self.on_wrong_original not in tuple(WrongOriginal):
            raise RestoreError(
                "bad_option",
                f"metadata is one of {', '.join(MetadataOf)}, on_wrong_original one of {', '.join(WrongOriginal)}",
            )
        if not 0 <= self.min_confidence <= 1:
            raise RestoreError(
                "bad_min_confidence", f"min confidence {self.min_confidence:g} is out of range: give 0 to 1"
            )
