"""What a run hands its rows to: processes of this machine, or a service."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from shared.backfill.rows import Row, RowReport
from shared.options import Options


@dataclass(frozen=True, slots=True)
class Task:
    """One row whose turn it is; `key`, `stamp` and `content` are for the journal."""

    row: Row
    source: Path
    output: Path
    said_output: str
    original: Path | None
    options: Options
    key: str
    stamp: str
    content: str


class Pool(Protocol):
    """Takes tasks and gives their reports back as they come."""

    @property
    def is_full(self) -> bool:
        """Whether a report should be taken before another task is given."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""

    def give(self, task: Task) -> None:
        """Hand out a task."""

    def take(self) -> Iterator[tuple[Task, RowReport]]:
        """Wait for at least one report, unless nothing is under way any more."""

    def close(self) -> None:
        """Call off what has not begun; `take` still gives what has. To close twice is no fault."""


def options_of(row: Row, common: Mapping[str, Any]) -> Options:
    """The options of a row over those of the run."""
    return Options(**{**common, **row.options})
