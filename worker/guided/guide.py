"""Use an original for an edit, or say why not."""

import numpy as np
from numpy.typing import NDArray

from shared.errors import RestoreError
from shared.imaging.original import Original, read_original
from shared.imaging.photo import PhotoError
from shared.options import Options, WrongOriginal
from worker.guided.align import Alignment, align
from worker.guided.confidence import unguided
from worker.guided.transfer import Joined, join


def guide(original: Original, edit: NDArray[np.uint8], network: NDArray[np.float32], options: Options) -> Joined:
    """The original's map where it still holds, the network's, fitted to this photo, elsewhere.

    Args:
        original: picture and map.
        edit: (H, W, 3) uint8 sRGB, upright.
        network: (h, w) stops, the prediction for the edit at the wanted size.
        options: what to do with an original that cannot be used.

    Raises:
        RestoreError: `wrong_original` or `low_confidence`, where the options say to refuse.
    """
    alignment = align(original.picture, edit)
    if alignment is None or not alignment.accepted:
        return _refused("wrong_original", "the original is not a picture of this edit", alignment, network, options)
    joined = join(original, alignment, edit, network)
    confidence = joined.guided.confidence
    if confidence < options.min_confidence:
        reason = f"the original's map fits too badly: confidence {confidence:.2f}, {options.min_confidence:.2f} asked"
        return _refused("low_confidence", reason, alignment, network, options)
    return joined


def opened(data: bytes, options: Options) -> tuple[Original | None, str | None]:
    """An original and nothing, or nothing and why it cannot be read.

    Raises:
        PhotoError: it cannot be read, where the options say to refuse.
    """
    try:
        return read_original(data), None
    except PhotoError as error:
        if options.on_wrong_original == WrongOriginal.REFUSE:
            raise
        return None, str(error)


def without(reason: str, alignment: Alignment | None, network: NDArray[np.float32]) -> Joined:
    """The network's map alone, and why."""
    return Joined(network, unguided(f"{reason}: predicted without it", alignment), np.ones_like(network))


def _refused(
    code: str, reason: str, alignment: Alignment | None, network: NDArray[np.float32], options: Options
) -> Joined:
    if options.on_wrong_original == WrongOriginal.REFUSE:
        raise RestoreError(code, f"{reason}; give the photo that was edited, or allow to go on without it")
    return without(reason, alignment, network)
