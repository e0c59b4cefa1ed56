"""Pairing on this machine: the edits of a run and a folder of originals."""

from collections.abc import Callable, Iterable
from pathlib import Path

from shared.backfill.listing import list_folder
from shared.backfill.pairing import Pair, Pairing, Traits
from shared.backfill.rows import BadRow, Row
from shared.imaging.photo import MAX_BYTES
from shared.imaging.traits import capture_time, looks


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


def _traits(path: str) -> Traits:
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError:
        return Traits(None, None)
    return Traits(capture_time(data), looks(data))
