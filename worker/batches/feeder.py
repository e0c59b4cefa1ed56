"""Makes jobs of rows, a window of them at a time, each tenant and each of its batches in turn.

A row changes in its job's own transaction: there is no job whose row still waits, and no queued row without a job.
"""

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import structlog
from sqlalchemy import Connection

from shared.batches import Batch, BatchRow, BatchStatus, RowState
from shared.buckets import Buckets
from shared.database import Database, DatabaseUnavailableError, batch_row_store, batch_store, job_store
from shared.errors import RestoreError
from shared.jobs import Job, Queue
from shared.object_store import ObjectNotFound, ObjectStore, StoreError
from shared.settings import ServiceSettings
from shared.sources import Sources, name_of, parse_ref
from shared.submission import Submitter, Wish

AHEAD: Final = 2  # rows a fetching thread that are handed out, so that none waits for its next
BACKOFF: Final = 2.0  # seconds before a row is tried again, doubled for each further time
BACKOFF_MAX: Final = 60.0  # seconds
OUTAGE: Final = 5.0  # seconds before a row is tried again for which a store of ours did not answer
DAY: Final = 86400.0  # seconds; days of quotas are UTC
log = structlog.get_logger()


class _TwinError(Exception):
    """Another row comes to the same result; the text is its source."""


class _GoneError(Exception):
    """The row is no longer waiting."""


class Feeder:
    """Remembers what its threads are at; that they may be lost is the point of the transaction."""

    def __init__(self, settings: ServiceSettings, database: Database, store: ObjectStore, submitter: Submitter) -> None:
        self._settings, self._database, self._submitter = settings, database, submitter
        self._sources, self._buckets = Sources(settings, database, store), Buckets(settings)
        self._threads = ThreadPoolExecutor(settings.batch_fetches, thread_name_prefix="feed")
        self._at_work: dict[tuple[str, int], tuple[str, Future[None]]] = {}  # row -> tenant, and its thread's work
        self._turn: deque[str] = deque()  # tenants, the next one first
        self._latest: dict[str, str] = {}  # tenant -> the batch whose turn was last

    def look(self) -> bool:
        """Hand out rows; whether there was anything to do."""
        ended = [place for place, (_, future) in self._at_work.items() if future.done()]
        for place in ended:
            del self._at_work[place]
        free = self._settings.batch_fetches * AHEAD - len(self._at_work)
        picked = 0
        if free > 0:
            with self._database.read() as connection:
                for batch, row in self._picks(connection, free):
                    future = self._threads.submit(self._feed, batch, row)
                    self._at_work[row.batch, row.line] = (batch.tenant, future)
                    picked += 1
        return bool(ended or picked)

    def close(self) -> None:
        """Let what is begun end, and drop the rest."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _picks(self, connection: Connection, free: int) -> Iterator[tuple[Batch, BatchRow]]:
        """Up to `free` rows, one of each tenant in turn, and of each tenant one of each batch in turn."""
        unfinished = batch_store.in_status(connection, BatchStatus.RUNNING, BatchStatus.PAUSED, BatchStatus.CANCELED)
        feeding = [batch for batch in unfinished if batch.status is BatchStatus.RUNNING and not batch.rerunning]
        room = self._room(connection, unfinished, {batch.tenant for batch in feeding})
        queues: dict[str, deque[tuple[Batch, deque[BatchRow]]]] = {}
        # Each tenant's batches behind the one whose turn was last, then the others: ids are in order of creation.
        for batch in sorted(feeding, key=lambda batch: (batch.id <= self._latest.get(batch.tenant, ""), batch.id)):
            if room[batch.tenant] > 0 and (rows := self._waiting(connection, batch, min(free, room[batch.tenant]))):
                queues.setdefault(batch.tenant, deque()).append((batch, rows))
        for tenant in queues:
            if tenant not in self._turn:
                self._turn.append(tenant)
        # Of several tenants none may hold every thread: its sources may be slow.
        most = self._settings.batch_fetches
        share = max(1, most // 2) if len(queues) > 1 else most * AHEAD
        held = Counter(tenant for tenant, _ in self._at_work.values())
        while free > 0 and queues:
            tenant = self._turn.popleft()
            if tenant not in queues:
                continue
            if room[tenant] <= 0 or held[tenant] >= share:
                del queues[tenant]
                self._turn.append(tenant)
                continue
            batch, rows = queues[tenant].popleft()
            self._latest[tenant] = batch.id
            yield batch, rows.popleft()
            free, room[tenant], held[tenant] = free - 1, room[tenant] - 1, held[tenant] + 1
            if rows:
                queues[tenant].append((batch, rows))
            if not queues[tenant]:
                del queues[tenant]
            self._turn.append(tenant)

    def _room(self, connection: Connection, unfinished: list[Batch], tenants: set[str]) -> dict[str, int]:
        """How many more rows of each tenant may become jobs: the window's rest, and the day's quota's."""
        room: Counter[str] = Counter(dict.fromkeys(tenants, self._settings.batch_window))
        for batch in unfinished:
            room[batch.tenant] -= batch.queued
        held = Counter(tenant for tenant, _ in self._at_work.values())
        room.subtract(held)
        now = time.time()
        for batch in unfinished:
            if batch.daily_quota is not None and batch.tenant in tenants and room[batch.tenant] > 0:
                used = job_store.submitted_since(connection, batch.tenant, now - now % DAY)
                room[batch.tenant] = min(room[batch.tenant], batch.daily_quota - used - held[batch.tenant])
        return room

    def _waiting(self, connection: Connection, batch: Batch, limit: int) -> deque[BatchRow]:
        mine = sum(1 for batch_id, _ in self._at_work if batch_id == batch.id)
        found = batch_row_store.due(connection, batch.id, time.time(), limit + mine)
        return deque([row for row in found if (row.batch, row.line) not in self._at_work][:limit])

    def _feed(self, batch: Batch, row: BatchRow) -> None:
        """One row, in a thread; every fault ends in its state, or it is tried again later."""
        try:
            if self._is_done(batch, row):
                self._settle(row, RowState.SKIPPED_DONE)
            else:
                self._submit(batch, row)
        except _TwinError as twin:
            self._settle(row, RowState.DUPLICATE, duplicate_of=str(twin))
        except _GoneError:
            return
        except RestoreError as error:
            if error.retryable and row.tries + 1 < self._settings.max_attempts:
                self._put_off(row, min(BACKOFF_MAX, BACKOFF * 2**row.tries), row.tries + 1)
            else:
                self._settle(row, RowState.FAILED, error_code=error.code, error_message=str(error))
        except (StoreError, DatabaseUnavailableError) as error:
            log.warning("row_waits", batch=row.batch, line=row.line, reason=str(error))
            self._put_off(row, OUTAGE, row.tries)
        except Exception as error:
            log.exception("row_crashed", batch=row.batch, line=row.line)
            if row.tries + 1 < self._settings.max_attempts:
                self._put_off(row, BACKOFF * 2**row.tries, row.tries + 1)
            else:
                message = f"unexpected fault ({type(error).__name__})"
                self._settle(row, RowState.FAILED, error_code="internal", error_message=message)

    def _is_done(self, batch: Batch, row: BatchRow) -> bool:
        if row.output is None or batch.output is None or batch.output["overwrite"]:
            return False
        store, key = self._buckets.output(row.output)
        try:
            store.head(key)
        except ObjectNotFound:
            return False
        except StoreError as error:
            if error.retryable:
                raise
            raise RestoreError(error.code, f"the output {row.output} cannot be looked for: {error}") from error
        return True

    def _submit(self, batch: Batch, row: BatchRow) -> None:
        source = parse_ref(row.source)
        original = None if row.original is None else parse_ref(row.original)
        with ExitStack() as stack:
            try:
                photo = stack.enter_context(self._sources.open(source, batch.tenant))
                other = None if original is None else stack.enter_context(self._sources.open(original, batch.tenant))
            except StoreError as error:
                if error.retryable:
                    raise
                raise RestoreError(error.code, f"{row.source} cannot be read: {error}") from error
            wish = Wish(
                tenant=batch.tenant,
                options={**batch.options, **row.options},
                model=batch.model,
                metadata=row.metadata,
                webhook=_job_webhook(batch.webhook),
                retention=batch.retention,
                queue=Queue.BULK,
                batch=batch.id,
                source_name=name_of(source),
            )
            draft = self._submitter.draft(photo, other, wish)
            with self._database.read() as connection:  # before anything is stored for it
                _refuse_twin(connection, row, draft.result_key)
            self._submitter.commit(draft, photo, other, lambda connection, job: _take(connection, row, job))

    def _settle(self, row: BatchRow, outcome: RowState, **values: str) -> None:
        with self._database.begin() as connection:
            batch_row_store.settle(connection, row, outcome, time.time(), **values)

    def _put_off(self, row: BatchRow, seconds: float, tries: int) -> None:
        try:
            with self._database.begin() as connection:
                batch_row_store.put_off(connection, row, time.time() + seconds, tries)
        except DatabaseUnavailableError:
            time.sleep(1.0)  # the row waits where it is; its thread need not hurry


def _take(connection: Connection, row: BatchRow, job: Job) -> None:
    """What happens to the row in its job's transaction, under the lock of the result that both come to."""
    _refuse_twin(connection, row, job.result_key)
    if not batch_row_store.enqueue(connection, row, job, time.time()):
        raise _GoneError


def _refuse_twin(connection: Connection, row: BatchRow, result_key: str) -> None:
    twin = batch_row_store.find_twin(connection, row, result_key)
    if twin is not None:
        raise _TwinError(twin)


def _job_webhook(webhook: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """What of a batch's webhook concerns its jobs."""
    events = webhook.get("events") if webhook is not None else None
    if webhook is None or not isinstance(events, list):
        return None
    mine = [event for event in events if str(event).startswith("job.")]
    return {**webhook, "events": mine} if mine else None
