"""Ends batches, a piece at a time: calls rows off, puts failed ones back, writes reports, removes what was deleted."""

import time
from collections.abc import Iterator
from typing import Final

import structlog

from shared.backfill.report import COLUMNS, report_line, table_line, table_row
from shared.backfill.rows import Outcome, RowReport
from shared.batches import Batch, BatchRow, BatchStatus, report_key, summary_key
from shared.database import Database, batch_row_store, batch_store, job_store
from shared.object_store import ObjectStore, joined
from shared.removal import remove_job, remove_unused

PIECE: Final = 1000  # rows of one commit
REMOVED: Final = 100  # rows that are taken away in one go, each with its job
PAGE: Final = 1000  # rows of a report that are held at once
REPORT_BYTES: Final = 8 << 30
SWEEP: Final = 30.0  # seconds between two looks for batches whose time is over
ENDING: Final = (BatchStatus.RUNNING, BatchStatus.COMPLETING, BatchStatus.CANCELED, BatchStatus.FAILED)
log = structlog.get_logger()


class Finisher:
    """One piece of each batch's end a look."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database, self._store = database, store
        self._sweep_due = 0.0

    def look(self) -> bool:
        """One round; whether there was anything to do."""
        if time.monotonic() >= self._sweep_due:
            self._sweep_due = time.monotonic() + SWEEP
            with self._database.begin() as connection:
                batch_store.expire(connection, time.time())
        with self._database.read() as connection:
            batches = batch_store.in_status(connection, *ENDING)
            hidden = batch_store.hidden(connection)
        done = [self._advance(batch) for batch in batches] + [self._remove(batch) for batch in hidden]
        return any(done)

    def close(self) -> None:
        """Nothing is held."""

    def _advance(self, batch: Batch) -> bool:
        if batch.status is BatchStatus.RUNNING and batch.rerunning:
            return self._put_back(batch)
        if batch.status in (BatchStatus.CANCELED, BatchStatus.FAILED) and (batch.waiting or batch.queued):
            return self._call_off(batch)
        if batch.waiting or batch.queued:
            return False
        if batch.status is BatchStatus.RUNNING:
            with self._database.begin() as connection:
                return batch_store.complete(connection, batch.id, time.time())
        self._report(batch)
        return True

    def _put_back(self, batch: Batch) -> bool:
        now = time.time()
        with self._database.begin() as connection:
            if not batch_row_store.put_back(connection, batch.id, now, PIECE):
                batch_store.rerun_is_prepared(connection, batch.id, now)
        return True

    def _call_off(self, batch: Batch) -> bool:
        now = time.time()
        with self._database.begin() as connection:
            changed = batch_row_store.call_off(connection, batch.id, now, PIECE)
            jobs = [] if changed else batch_row_store.queued_jobs(connection, batch.id, PIECE)
            for job_id in jobs:
                job_store.cancel(connection, job_id, now)
        return bool(changed or jobs)

    def _report(self, batch: Batch) -> None:
        """Written anew as a whole after a kill: the same rows give the same bytes under the same keys."""
        begun = time.perf_counter()
        reports = (
            (report_key(batch.id), "application/x-ndjson", (report_line(row) for row in self._reports(batch))),
            (summary_key(batch.id), "text/csv", self._table(batch)),
        )
        for key, kind, pieces in reports if batch.total else ():
            self._store.put(key, joined(pieces), kind, REPORT_BYTES)
        with self._database.begin() as connection:
            done = batch_store.finish(connection, batch, time.time())
        log.info("batch_ended" if done else "report_in_vain", batch=batch.id, seconds=time.perf_counter() - begun)

    def _table(self, batch: Batch) -> Iterator[bytes]:
        yield table_line(COLUMNS)
        for row in self._reports(batch):
            yield table_row(row)

    def _reports(self, batch: Batch) -> Iterator[RowReport]:
        for page in self._pages(batch.id):
            for row in page:
                yield _report_of(row)

    def _pages(self, batch_id: str) -> Iterator[list[BatchRow]]:
        after = 0
        while True:
            with self._database.read() as connection:
                page = batch_row_store.page(connection, batch_id, after=after, limit=PAGE)
            if not page:
                return
            yield page
            after = page[-1].line

    def _remove(self, batch: Batch) -> bool:
        with self._database.read() as connection:
            rows = batch_row_store.page(connection, batch.id, limit=REMOVED)
            jobs = [job_store.get(connection, row.job, batch.tenant) for row in rows if row.job is not None]
        for job in jobs:
            if job is not None:
                with self._database.begin() as connection:
                    job_store.cancel(connection, job.id, time.time())
                remove_job(self._database, self._store, job)
        if rows:
            with self._database.begin() as connection:
                batch_row_store.remove(connection, batch.id, rows[-1].line)
            return True
        for key in (report_key(batch.id), summary_key(batch.id), batch.manifest_key):
            if key is not None:
                remove_unused(self._database, self._store, key)
        with self._database.begin() as connection:
            batch_store.remove(connection, batch.id)
        log.info("batch_removed", batch=batch.id)
        return True


def _report_of(row: BatchRow) -> RowReport:
    return RowReport(
        line=row.line,
        source=row.source,
        outcome=Outcome(row.state.value),
        output=row.output,
        original=row.original,
        error_code=row.error_code,
        error_message=row.error_message,
        duplicate_of=row.duplicate_of,
        confidence=row.confidence,
        seconds=row.seconds,
        metadata=row.metadata,
        job=row.job,
    )
