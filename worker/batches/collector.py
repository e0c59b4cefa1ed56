"""Takes in what ended: jobs become outcomes of their rows, results are copied to where they were asked for."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import structlog

from shared.batches import Batch, BatchRow, BatchStatus, RowState
from shared.buckets import Buckets
from shared.database import Database, batch_row_store, batch_store
from shared.errors import RestoreError
from shared.jobs import Job, JobStatus
from shared.object_store import ObjectNotFound, ObjectStore, StoreError
from shared.settings import ServiceSettings

AT_ONCE: Final = 200  # rows of a batch in one go
RESULT_LIMIT: Final = 128 << 20  # bytes, as of a job
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class End:
    """What became of a row."""

    row: BatchRow
    outcome: RowState
    values: dict[str, Any]


class Collector:
    """Several copies at once; everything else is one commit a batch."""

    def __init__(self, settings: ServiceSettings, database: Database, store: ObjectStore) -> None:
        self._database, self._store, self._buckets = database, store, Buckets(settings)
        self._threads = ThreadPoolExecutor(settings.batch_fetches, thread_name_prefix="copy")

    def look(self) -> bool:
        """One round over every batch that has jobs; whether anything had ended."""
        with self._database.read() as connection:
            batches = batch_store.in_status(connection, BatchStatus.RUNNING, BatchStatus.PAUSED, BatchStatus.CANCELED)
        ended = [self._collect(batch) for batch in batches]
        return any(ended)

    def close(self) -> None:
        """Let what is begun end."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _collect(self, batch: Batch) -> bool:
        ends: Sequence[End] = []
        if batch.queued:
            with self._database.read() as connection:
                found = batch_row_store.ended(connection, batch.id, AT_ONCE)
            ends = [end for end in self._threads.map(lambda pair: self._end(*pair), found) if end is not None]
        now = time.time()
        if ends:
            with self._database.begin() as connection:
                for end in ends:
                    batch_row_store.settle(connection, end.row, end.outcome, now, **end.values)
        with self._database.read() as connection:
            latest = batch_store.get(connection, batch.id)
        if latest is not None and _is_due(latest, now):
            with self._database.begin() as connection:
                batch_store.measure(connection, latest, now)
                batch_store.tell_progress(connection, latest, now)
        return bool(ends)

    def _end(self, row: BatchRow, job: Job | None) -> End | None:
        """A row's outcome; None: its result cannot be copied now, or its job is on its way again."""
        if job is not None and not job.is_final:
            return None
        if job is None or job.status is not JobStatus.SUCCEEDED or job.result is None:
            return _without_result(row, job)
        outcome = RowState(str(job.result["outcome"]))
        if row.output is not None and outcome is RowState.RESTORED:
            try:
                self._copy(job.result_key, row.output)
            except ObjectNotFound:
                return _failed(row, "gone", "its result is no longer stored: run it again")
            except RestoreError as error:
                return _failed(row, error.code, str(error))
            except StoreError as error:
                log.warning("result_not_copied", batch=row.batch, line=row.line, reason=str(error))
                fault = f"the output {row.output} cannot be written: {error}"
                return None if error.retryable else _failed(row, error.code, fault)
        values = {
            "confidence": (job.result.get("guided") or {}).get("confidence"),
            "seconds": round(sum(took for stage, took in job.timings.items() if stage != "cpu"), 4),
        }
        return End(row, outcome, values)

    def _copy(self, key: str, output: str) -> None:
        target, target_key = self._buckets.output(output)
        with self._store.open(key) as stream:
            target.put(target_key, stream, "image/jpeg", RESULT_LIMIT)


def _without_result(row: BatchRow, job: Job | None) -> End:
    if job is None:
        return _failed(row, "job_not_found", "its job was deleted before it had ended, or before its end was noted")
    if job.status is JobStatus.CANCELED:
        return End(row, RowState.CANCELED, {})
    return _failed(row, job.error_code or "internal", job.error_message or "")


def _failed(row: BatchRow, code: str, message: str) -> End:
    return End(row, RowState.FAILED, {"error_code": code, "error_message": message})


def _is_due(batch: Batch, now: float) -> bool:
    """Whether its rate or its progress wants an update, so that nothing is written in vain."""
    measured = batch.rate_since is None or now - batch.rate_since >= batch_store.RATE_SECONDS
    told = batch.told is None or (now - batch.told >= batch_store.PROGRESS_SECONDS and batch.told < batch.updated)
    return measured or told
