"""Exif orientation (Exif 2.32, tag 0x0112): turn stored pixels upright and back, exactly."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def to_upright(stored: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Stored (H, W) or (H, W, C) -> as the photo is to be seen; a view where that is possible."""
    if orientation in (2, 7):
        stored = stored[:, ::-1]
    elif orientation in (4, 5):
        stored = stored[::-1]
    turns = {3: 2, 5: 3, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(stored, turns)


def to_stored(upright: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """The exact inverse of `to_upright`."""
    turns = {3: 2, 5: 1, 6: 1, 7: 1, 8: 3}.get(orientation, 0)
    stored = np.rot90(upright, turns)
    if orientation in (2, 7):
        return stored[:, ::-1]
    return stored[::-1] if orientation in (4, 5) else stored
