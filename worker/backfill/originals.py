"""Pairing on this machine: the edits of a run and a folder of originals, which must be readable as such."""

from collections.abc import Callable, Iterable
from pathlib import Path

from shared.backfill.listing import list_folder
from shared.backfill.pairing import Pair, Pairing, Traits
from shared.backfill.rows import BadRow, Row
from shared.imaging.decode import fit_within, upright_srgb
from shared.imaging.limits import MAX_BYTES
from shared.imaging.original import read_original
from shared.imaging.photo import PhotoError, open_photo
from shared.imaging.traits import capture_time, looks
from shared.ultrahdr import UltraHdrError
from worker.guided.align import LONG_SIDE, align
from worker.pipeline import upright_size


def pair_with(
    folder: Path, base: Path, rows: Iterable[Row | BadRow], confirm: Callable[[str, str], bool] | None = None
) -> list[Pair]:
    """A pair for each row that names no original itself; paths of originals are absolute.

    `confirm` lays an edit over an original; without it nothing is paired by its looks alone.

    Raises:
        BackfillError: `not_a_folder`.
    """
    found = [str((folder / row.source).resolve()) for row in list_folder(folder, (), (), None)]
    pairing = Pairing(found, _traits, confirm)
    edits = [row for row in rows if isinstance(row, Row) and row.original is None]
    pairs = []
    for row in edits:
        pair = pairing.find(str(base / row.source))
        pairs.append(Pair(row.source, pair.original, pair.way, pair.candidates))
    return pairs


def is_laid_over(edit: str, original: str) -> bool:
    """Whether an original can be found in an edit, by features and by pixels; False where either is not readable."""
    try:
        photo = open_photo(Path(edit).read_bytes())
        source = read_original(Path(original).read_bytes())
        size = fit_within(*upright_size(photo), LONG_SIDE)
        found = align(source.picture, upright_srgb(photo, size))
    except (OSError, PhotoError, UltraHdrError):
        return False
    return found is not None and found.accepted


def _traits(path: str) -> Traits:
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError:
        return Traits(None, None)
    return Traits(capture_time(data), looks(data))
