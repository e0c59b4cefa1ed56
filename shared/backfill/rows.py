"""The values of a backfill: a row to be done, a row that cannot be read, and what became of one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final


class BackfillError(Exception):
    """A backfill as a whole cannot begin or go on; `code` is stable, the text says what, where, what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Outcome(StrEnum):
    """What became of a row; each row has exactly one in the end."""

    RESTORED = "restored"
    UNCHANGED = "unchanged"  # has a gain map already
    SKIPPED_DONE = "skipped_done"  # its output was there
    DUPLICATE = "duplicate"  # the same photo and options stand in an earlier row
    FAILED = "failed"
    CANCELED = "canceled"


SKIPPED: Final = frozenset({Outcome.UNCHANGED, Outcome.SKIPPED_DONE, Outcome.DUPLICATE})


@dataclass(frozen=True, slots=True)
class Row:
    """One photo to be restored, as a manifest or a listing names it."""

    line: int  # of the manifest, from 1; or the place in the listing
    source: str  # a path, `s3://bucket/key`, `https://…` or `upload:<id>`
    original: str | None = None
    output: str | None = None  # below the output folder or prefix; by the template, where unset
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that is no row; it fails with its line and stops nothing."""

    line: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReport:
    """What became of one row."""

    line: int
    source: str
    outcome: Outcome
    output: str | None = None
    original: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    duplicate_of: str | None = None  # the source of the earlier row
    confidence: float | None = None  # 0..1 of a guided restoration
    seconds: float | None = None  # of work, without waiting
    metadata: Mapping[str, Any] | None = None  # the row's own, given back as it came
    job: str | None = None  # where a service did it: the job's id there

    def to_json(self) -> dict[str, Any]:
        """As the report's line says it."""
        return asdict(self) | {"outcome": self.outcome.value}


def failed(row: Row | BadRow, code: str, message: str, job: str | None = None) -> RowReport:
    """The report of a row that was not restored."""
    if isinstance(row, BadRow):
        return RowReport(line=row.line, source="", outcome=Outcome.FAILED, error_code=code, error_message=message)
    return RowReport(
        line=row.line,
        source=row.source,
        original=row.original,
        metadata=row.metadata,
        outcome=Outcome.FAILED,
        error_code=code,
        error_message=message,
        job=job,
    )
