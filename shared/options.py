"""What a caller may choose for one photo."""

from dataclasses import dataclass
from typing import Final

from shared.errors import RestoreError

STRENGTH_MIN: Final = 0.1  # below, the file would say HDR and show none
STRENGTH_MAX: Final = 2.0  # above, noise in the map shows
HEADROOM_MIN: Final = 0.1  # stops
HEADROOM_MAX: Final = 6.0  # stops: no screen shows more


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose; none of it changes a pixel of the map, `replace` apart.

    `strength` scales every stop; `max_headroom` (stops), where set, lowers the strength so far that the
    map's peak stays below it.
    """

    strength: float = 1.0
    max_headroom: float | None = None
    replace: bool = False

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
