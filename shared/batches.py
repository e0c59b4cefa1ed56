"""The record of a batch and of its rows: pure values, and the table of what may follow what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from shared.backfill.rows import Outcome

INLINE_CHARS: Final = 512 << 10  # of a manifest in the request itself; a longer one is uploaded or lies in a bucket
MANIFEST_BYTES: Final = 1 << 30  # of an uploaded manifest
MAX_ROWS: Final = 5_000_000  # of one batch
MAX_OPEN: Final = 100  # batches of a tenant that have not ended


class BatchStatus(StrEnum):
    """Where a batch stands."""

    VALIDATING = "validating"  # its manifest is being read
    RUNNING = "running"  # its rows become jobs, a window at a time
    PAUSED = "paused"  # no further rows become jobs; those that are go on
    COMPLETING = "completing"  # every row has its outcome; the report is being written
    COMPLETED = "completed"
    FAILED = "failed"  # the manifest cannot be read at all
    CANCELED = "canceled"  # its owner called it off; it has ended once `finished` is set


# What may follow what. Everything that changes a state goes through this table.
TRANSITIONS: Final[Mapping[BatchStatus, frozenset[BatchStatus]]] = MappingProxyType(
    {
        BatchStatus.VALIDATING: frozenset({BatchStatus.RUNNING, BatchStatus.FAILED, BatchStatus.CANCELED}),
        BatchStatus.RUNNING: frozenset({BatchStatus.PAUSED, BatchStatus.COMPLETING, BatchStatus.CANCELED}),
        BatchStatus.PAUSED: frozenset({BatchStatus.RUNNING, BatchStatus.CANCELED}),
        BatchStatus.COMPLETING: frozenset({BatchStatus.COMPLETED}),
        # Again, for the rows that failed.
        BatchStatus.COMPLETED: frozenset({BatchStatus.RUNNING}),
        BatchStatus.CANCELED: frozenset({BatchStatus.RUNNING}),
        BatchStatus.FAILED: frozenset(),
    }
)
FINAL: Final = frozenset({BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELED})


class RowState(StrEnum):
    """Where a row stands: on its way, or what became of it in the words of `Outcome`."""

    WAITING = "waiting"  # has no job yet
    QUEUED = "queued"  # has a job
    RESTORED = Outcome.RESTORED.value
    UNCHANGED = Outcome.UNCHANGED.value
    SKIPPED_DONE = Outcome.SKIPPED_DONE.value
    DUPLICATE = Outcome.DUPLICATE.value
    FAILED = Outcome.FAILED.value
    CANCELED = Outcome.CANCELED.value


OPEN_ROWS: Final = frozenset({RowState.WAITING, RowState.QUEUED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One backfill, as the SQL row says. Times are seconds since 1970, UTC."""

    id: str  # 32 hex digits, in order of creation
    tenant: str
    name: str | None
    status: BatchStatus
    version: int  # grows with every change
    created: float
    updated: float
    model: str
    options: Mapping[str, Any]  # of every row that says nothing else
    output: Mapping[str, Any] | None  # {prefix, template, overwrite}; None: results stay with their jobs
    metadata: Mapping[str, Any] | None  # the owner's own, given back as it came
    webhook: Mapping[str, Any] | None  # {url, events, secret} of this batch alone
    retention: float  # seconds that it is kept once it has ended
    manifest_key: str | None  # the manifest's object in our own store
    manifest_path: str | None  # or `bucket/key`, or `bucket/prefix/`
    form: str | None  # of the manifest; None: a listing of the prefix
    daily_quota: int | None = None  # jobs a day of the key that made it
    started: float | None = None
    finished: float | None = None
    expires: float | None = None  # when retention removes it
    line: int = 0  # of the manifest, up to which its rows are stored
    position: str | None = None  # of a listing: the last key
    rerunning: bool = False  # failed rows are being put back
    total: int = 0
    waiting: int = 0
    queued: int = 0
    restored: int = 0
    unchanged: int = 0
    skipped_done: int = 0
    duplicate: int = 0
    failed: int = 0
    canceled: int = 0
    rate: float | None = None  # rows a second of late
    rate_since: float | None = None  # when it was measured last
    rate_done: int = 0  # rows that had been worked on then
    told: float | None = None  # of its progress
    error_code: str | None = None
    error_message: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in FINAL and self.finished is not None

    @property
    def worked(self) -> int:
        """Rows that took work."""
        return self.restored + self.unchanged + self.failed

    @property
    def eta(self) -> float | None:
        """Seconds that the rest takes; None: not known."""
        if not self.rate or self.status not in (BatchStatus.RUNNING, BatchStatus.COMPLETING):
            return None
        return (self.waiting + self.queued) / self.rate

    def count(self, state: RowState) -> int:
        """Rows in a state."""
        number: int = getattr(self, state.value)
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One row of a batch, as the SQL row says."""

    batch: str
    line: int
    state: RowState
    source: str  # as the manifest writes it; empty where its line could not be read
    original: str | None = None
    output: str | None = None  # `bucket/key`
    output_digest: int | None = None  # what two rows with the same output are told by
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] | None = None
    runnable: bool = True  # False: the line itself is at fault, and no rerun mends it
    due: float = 0.0  # not to be tried before
    tries: int = 0  # that a passing fault of its source has ended
    job: str | None = None
    result_key: str | None = None  # what duplicates are told by
    duplicate_of: str | None = None  # the source of the other row
    error_code: str | None = None
    error_message: str | None = None
    confidence: float | None = None  # 0..1 of a guided restoration
    seconds: float | None = None  # of work


def report_key(batch_id: str) -> str:
    """The object of the report, a line of JSON a row."""
    return f"reports/{batch_id}/report.jsonl"


def summary_key(batch_id: str) -> str:
    """The object of the report as a table."""
    return f"reports/{batch_id}/summary.csv"
