"""Reads manifests into rows: a chunk a commit, a slice of time a batch, so that no library makes another wait.

The batch's row says in the commit of each chunk how far its manifest is read; whoever comes after a kill goes on there.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import structlog

from shared.backfill.listing import is_wanted
from shared.backfill.manifest import Form, read_manifest
from shared.backfill.rows import BackfillError, BadRow, Row
from shared.batches import MAX_ROWS, Batch, BatchStatus
from shared.buckets import Buckets
from shared.database import Database, batch_row_store, batch_store
from shared.errors import RestoreError
from shared.object_store import ObjectNotFound, ObjectStore, StoreError
from worker.batches.plan import plan, without_collisions

CHUNK: Final = 1000  # rows of one commit
SLICE: Final = 1.0  # seconds that one batch is read before the next one's turn
AT_ONCE: Final = 4  # manifests that are open at one time, of as many tenants
log = structlog.get_logger()


@dataclass(slots=True)
class Reading:
    """An open manifest, and the batch as of the last commit."""

    batch: Batch
    rows: Iterator[Row | BadRow]
    opened: ExitStack


class Validator:
    """Remembers open manifests from look to look; what it forgets is read on from the batch's row."""

    def __init__(self, database: Database, store: ObjectStore, buckets: Buckets) -> None:
        self._database, self._store, self._buckets = database, store, buckets
        self._open: dict[str, Reading] = {}

    def look(self) -> bool:
        """Read on, each tenant's oldest batch in turn; whether there was anything to read."""
        with self._database.read() as connection:
            found = batch_store.in_status(connection, BatchStatus.VALIDATING)
        oldest: dict[str, Batch] = {}
        for batch in found:
            oldest.setdefault(batch.tenant, batch)
        turns = list(oldest.values())[:AT_ONCE]
        for batch_id in self._open.keys() - {batch.id for batch in turns}:
            self._close(batch_id)
        for batch in turns:
            try:
                self._read(batch)
            except BaseException:
                self._close(batch.id)
                raise
        return bool(turns)

    def close(self) -> None:
        """Close every manifest."""
        for batch_id in list(self._open):
            self._close(batch_id)

    def _read(self, batch: Batch) -> None:
        try:
            reading = self._reading(batch)
            end = time.monotonic() + SLICE
            while self._take(reading):
                if time.monotonic() >= end:
                    return
            self._close(batch.id)
        except BackfillError as error:
            self._fail(batch, error.code, str(error))
        except ObjectNotFound:
            self._fail(
                batch, "manifest_not_found", "the manifest is not there: correct bucket and key, or send it again"
            )
        except RestoreError as error:
            self._fail(batch, error.code, str(error))
        except StoreError as error:
            self._close(batch.id)
            if error.retryable:
                log.warning("manifest_waits", batch=batch.id, reason=str(error))
            else:
                self._fail(batch, error.code, f"the manifest cannot be read: {error}")

    def _take(self, reading: Reading) -> bool:
        """One chunk; False: it was the last, or the batch is no longer ours to read."""
        chunk = list(islice(reading.rows, CHUNK))
        batch, now = reading.batch, time.time()
        if not chunk:
            return self._end(batch, now)
        rows = [plan(batch, row) for row in chunk]
        digests = [row.output_digest for row in rows if row.output_digest is not None]
        # Of a listing the place where to go on is a key, and rows are numbered through.
        position = rows[-1].source.partition("://")[2].partition("/")[2] if batch.form is None else None
        line, total = rows[-1].line, batch.total + len(rows)
        with self._database.begin() as connection:
            if digests:
                rows = without_collisions(rows, batch_row_store.taken_outputs(connection, batch.id, digests))
            added = batch_row_store.add(connection, batch, rows, line=line, position=position, now=now)
        reading.batch = replace(batch, line=line, position=position, total=total)
        if total > MAX_ROWS:
            raise BackfillError("too_many_rows", f"there are more than {MAX_ROWS} rows: split the manifest")
        return added

    def _end(self, batch: Batch, now: float) -> bool:
        if batch.total == 0:
            raise BackfillError("no_rows", "there is no row: the manifest is empty, or no photo lies below the prefix")
        with self._database.begin() as connection:
            if batch_store.run(connection, batch.id, now):
                log.info("batch_running", batch=batch.id, rows=batch.total)
        return False

    def _reading(self, batch: Batch) -> Reading:
        found = self._open.get(batch.id)
        if found is not None and (found.batch.line, found.batch.total) == (batch.line, batch.total):
            return found
        self._close(batch.id)
        with ExitStack() as stack:
            rows = self._listed(batch) if batch.form is None else self._lines(batch, stack)
            self._open[batch.id] = Reading(batch, rows, stack.pop_all())
        return self._open[batch.id]

    def _lines(self, batch: Batch, stack: ExitStack) -> Iterator[Row | BadRow]:
        if batch.manifest_key is not None:
            store, key = self._store, batch.manifest_key
        else:
            store, key = self._buckets.source(batch.manifest_path or "")
        return read_manifest(stack.enter_context(store.open(key)), Form(batch.form or Form.JSONL), after=batch.line)

    def _listed(self, batch: Batch) -> Iterator[Row]:
        store, prefix = self._buckets.source(batch.manifest_path or "")
        bucket, number = (batch.manifest_path or "").partition("/")[0], batch.line
        for found in store.list(prefix, batch.position or ""):
            if is_wanted(found.key, (), ()):
                number += 1
                yield Row(number, f"s3://{bucket}/{found.key}")

    def _fail(self, batch: Batch, code: str, message: str) -> None:
        self._close(batch.id)
        with self._database.begin() as connection:
            batch_store.fail(connection, batch.id, code, message, time.time())
        log.info("batch_failed", batch=batch.id, code=code, reason=message)

    def _close(self, batch_id: str) -> None:
        reading = self._open.pop(batch_id, None)
        if reading is not None:
            reading.opened.close()
