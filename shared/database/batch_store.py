"""Everything that changes or reads a batch's row; its rows are `batch_row_store`'s. Each function takes the connection
of its caller's transaction.

A change of state is a compare-and-set: it names the states it may start from and says whether it took place.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from shared.batch_view import batch_view
from shared.batches import FINAL, TRANSITIONS, Batch, BatchStatus, RowState
from shared.database import webhook_store
from shared.database.tables import batch_failures, batches
from shared.events import EventType

PAGE_LIMIT: Final = 200  # batches in one page; one more is read, to see whether there is another
PROGRESS_SECONDS: Final = 10.0  # at least between two events of one batch's progress
RATE_SECONDS: Final = 10.0  # over which a rate is measured
RATE_SHARE: Final = 0.5  # of the last measurement in the rate
_FIELDS: Final = tuple(Batch.__dataclass_fields__)
_NOT_DELETED: Final = batches.c.deleted.is_(None)


def add(connection: Connection, batch: Batch) -> None:
    """Insert a batch."""
    connection.execute(insert(batches).values(**asdict(batch)))


def get(connection: Connection, batch_id: str, tenant: str | None = None) -> Batch | None:
    """A batch by id; None where there is none, it is deleted, or another tenant's."""
    query = select(batches).where(batches.c.id == batch_id, _NOT_DELETED)
    if tenant is not None:
        query = query.where(batches.c.tenant == tenant)
    row = connection.execute(query).one_or_none()
    return None if row is None else _batch_of(row)


def page(
    connection: Connection,
    tenant: str,
    *,
    status: BatchStatus | None = None,
    before: tuple[float, str] | None = None,
    limit: int = 50,
) -> list[Batch]:
    """A tenant's batches, newest first; `before` = (created, id) of the last one of the page before."""
    query = select(batches).where(batches.c.tenant == tenant, _NOT_DELETED)
    if status is not None:
        query = query.where(batches.c.status == status)
    if before is not None:
        created, batch_id = before
        query = query.where(
            or_(batches.c.created < created, and_(batches.c.created == created, batches.c.id < batch_id))
        )
    query = query.order_by(batches.c.created.desc(), batches.c.id.desc()).limit(min(limit, PAGE_LIMIT + 1))
    return [_batch_of(row) for row in connection.execute(query)]


def open_count(connection: Connection, tenant: str) -> int:
    """How many batches of a tenant have not ended."""
    query = select(func.count()).where(batches.c.tenant == tenant, batches.c.finished.is_(None), _NOT_DELETED)
    return int(connection.execute(query).scalar_one())


def in_status(connection: Connection, *statuses: BatchStatus) -> list[Batch]:
    """Every batch in one of these states that has not ended, oldest first."""
    query = (
        select(batches)
        .where(batches.c.status.in_(statuses), batches.c.finished.is_(None), _NOT_DELETED)
        .order_by(batches.c.created, batches.c.id)
    )
    return [_batch_of(row) for row in connection.execute(query)]


def change(
    connection: Connection, batch_id: str, to: BatchStatus, now: float, *where: ColumnElement[bool], **values: Any
) -> bool:
    """Bring a batch into a state, if it is in one from which that may be reached and `where` holds."""
    sources = [source for source, targets in TRANSITIONS.items() if to in targets]
    condition = and_(batches.c.id == batch_id, batches.c.status.in_(sources), _NOT_DELETED, *where)
    return _set(connection, condition, status=to, updated=now, **values)


def run(connection: Connection, batch_id: str, now: float) -> bool:
    """The whole manifest is read; its rows may become jobs."""
    return change(
        connection,
        batch_id,
        BatchStatus.RUNNING,
        now,
        batches.c.status == BatchStatus.VALIDATING,
        started=now,
        rate_since=now,
        rate_done=batches.c.restored + batches.c.unchanged + batches.c.failed,
    )


def fail(connection: Connection, batch_id: str, code: str, message: str, now: float) -> bool:
    """The manifest cannot be read; rows that were read are ended by whoever has that duty, who then sets `finished`."""
    return change(connection, batch_id, BatchStatus.FAILED, now, error_code=code, error_message=message)


def pause(connection: Connection, batch_id: str, now: float) -> bool:
    """Make no further jobs."""
    return change(connection, batch_id, BatchStatus.PAUSED, now, rate=None)


def resume(connection: Connection, batch_id: str, now: float) -> bool:
    """Make jobs again."""
    return change(
        connection,
        batch_id,
        BatchStatus.RUNNING,
        now,
        batches.c.status == BatchStatus.PAUSED,
        rate_since=now,
        rate_done=batches.c.restored + batches.c.unchanged + batches.c.failed,
    )


def cancel(connection: Connection, batch_id: str, now: float) -> bool:
    """Call a batch off; its rows are ended by whoever has that duty, who then sets `finished`."""
    return change(connection, batch_id, BatchStatus.CANCELED, now, rate=None, rerunning=False)


def rerun(connection: Connection, batch_id: str, now: float) -> bool:
    """Run an ended batch again for its failed rows, which are put back by whoever has that duty."""
    return change(
        connection,
        batch_id,
        BatchStatus.RUNNING,
        now,
        batches.c.status.in_([BatchStatus.COMPLETED, BatchStatus.CANCELED]),
        batches.c.finished.is_not(None),
        rerunning=True,
        finished=None,
        expires=None,
        rate=None,
        rate_since=now,
        rate_done=batches.c.restored + batches.c.unchanged,
    )


def rerun_is_prepared(connection: Connection, batch_id: str, now: float) -> None:
    """Every failed row that can be is back."""
    _set(connection, and_(batches.c.id == batch_id, batches.c.rerunning), rerunning=False, updated=now)


def complete(connection: Connection, batch_id: str, now: float) -> bool:
    """Every row has its outcome; the report may be written."""
    idle = (batches.c.waiting == 0, batches.c.queued == 0, batches.c.rerunning.is_(False))
    return change(connection, batch_id, BatchStatus.COMPLETING, now, *idle)


def finish(connection: Connection, batch: Batch, now: float) -> bool:
    """Every row has ended and the report is written; a canceled or failed batch stays what it is."""
    ended = {"finished": now, "expires": now + batch.retention}
    if batch.status is BatchStatus.COMPLETING:
        changed = change(connection, batch.id, BatchStatus.COMPLETED, now, **ended)
    else:
        where = and_(
            batches.c.id == batch.id,
            batches.c.status == batch.status,
            batches.c.status.in_([BatchStatus.CANCELED, BatchStatus.FAILED]),
            batches.c.finished.is_(None),
            batches.c.waiting == 0,
            batches.c.queued == 0,
            _NOT_DELETED,
        )
        changed = _set(connection, where, updated=now, **ended)
    if changed:
        _tell(connection, EventType.BATCH_COMPLETED, batch, now)
    return changed


def measure(connection: Connection, batch: Batch, now: float) -> None:
    """Bring a running batch's rate up to date, once in RATE_SECONDS."""
    since = batch.rate_since
    if batch.status is not BatchStatus.RUNNING or since is None or now - since < RATE_SECONDS:
        return
    latest = max(0, batch.worked - batch.rate_done) / (now - since)
    rate = latest if batch.rate is None else batch.rate + RATE_SHARE * (latest - batch.rate)
    where = and_(batches.c.id == batch.id, batches.c.rate_since == since)
    _set(connection, where, rate=rate, rate_since=now, rate_done=batch.worked)


def tell_progress(connection: Connection, batch: Batch, now: float) -> bool:
    """Leave the event of a batch's progress, at most one in PROGRESS_SECONDS and only if there was some."""
    told = batches.c.told
    due = or_(told.is_(None), and_(told <= now - PROGRESS_SECONDS, told < batches.c.updated))
    changed = connection.execute(
        update(batches).where(batches.c.id == batch.id, due, batches.c.finished.is_(None)).values(told=now)
    )
    if changed.rowcount:
        _tell(connection, EventType.BATCH_PROGRESS, batch, now)
    return changed.rowcount > 0


def shift(
    connection: Connection,
    batch_id: str,
    by: Mapping[RowState, int],
    now: float,
    *where: ColumnElement[bool],
    **values: Any,
) -> bool:
    """Bring the counts up to date with rows that this transaction changes; False: `where` did not hold."""
    moved = {state.value: batches.c[state.value] + number for state, number in by.items() if number}
    return _set(connection, and_(batches.c.id == batch_id, *where), updated=now, **moved, **values)


def count_failures(connection: Connection, batch_id: str, codes: Mapping[str, int]) -> None:
    """Count rows that failed, or take back what was counted."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for code in sorted(codes):
        statement = dialect.insert(batch_failures).values(batch=batch_id, code=code, number=codes[code])
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[batch_failures.c.batch, batch_failures.c.code],
                set_={"number": batch_failures.c.number + codes[code]},
            )
        )


def failures(connection: Connection, batch_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """How often each code ended a row, by batch."""
    found: dict[str, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
    query = select(batch_failures).where(batch_failures.c.batch.in_(batch_ids), batch_failures.c.number > 0)
    for row in connection.execute(query):
        found[row.batch][row.code] = row.number
    return found


def views(connection: Connection, found: Sequence[Batch]) -> list[dict[str, Any]]:
    """Batches as callers see them."""
    codes = failures(connection, [batch.id for batch in found])
    return [batch_view(batch, codes[batch.id]) for batch in found]


def expire(connection: Connection, now: float) -> int:
    """Delete the batches whose retention is over; how many they are."""
    where = and_(batches.c.expires < now, _NOT_DELETED)
    return int(connection.execute(update(batches).where(where).values(deleted=now)).rowcount)


def hide(connection: Connection, batch_id: str, now: float) -> bool:
    """Delete an ended batch: it is seen no more, and whoever has that duty takes away what it holds."""
    where = and_(batches.c.id == batch_id, batches.c.status.in_(FINAL), batches.c.finished.is_not(None), _NOT_DELETED)
    return _set(connection, where, deleted=now, updated=now)


def hidden(connection: Connection) -> list[Batch]:
    """Deleted batches whose rows and objects are still there."""
    query = select(batches).where(batches.c.deleted.is_not(None)).order_by(batches.c.deleted)
    return [_batch_of(row) for row in connection.execute(query)]


def remove(connection: Connection, batch_id: str) -> None:
    """Take a batch's row away, the last of it."""
    connection.execute(delete(batch_failures).where(batch_failures.c.batch == batch_id))
    connection.execute(delete(batches).where(batches.c.id == batch_id))


def needs(connection: Connection, key: str) -> bool:
    """Whether a batch needs an object: the manifest while it is read, the reports as long as it is there."""
    where = and_(batches.c.manifest_key == key, batches.c.status == BatchStatus.VALIDATING)
    if key.startswith("reports/"):
        where = batches.c.id == key.split("/")[1]
    return connection.execute(select(batches.c.id).where(where, _NOT_DELETED).limit(1)).first() is not None


def counts_by_status(connection: Connection) -> dict[str, int]:
    """status -> number of batches, for metrics."""
    query = select(batches.c.status, func.count()).where(_NOT_DELETED).group_by(batches.c.status)
    return {row.status: row[1] for row in connection.execute(query)}


def _tell(connection: Connection, kind: EventType, batch: Batch, now: float) -> None:
    def view() -> dict[str, Any]:
        found = get(connection, batch.id)
        return views(connection, [found or batch])[0]

    webhook_store.tell(connection, kind, batch.tenant, view, now, webhook=batch.webhook)


def _set(connection: Connection, where: Any, **values: Any) -> bool:
    changed = connection.execute(update(batches).where(where).values(version=batches.c.version + 1, **values))
    return changed.rowcount > 0


def _batch_of(row: Row[Any]) -> Batch:
    values = {name: row._mapping[name] for name in _FIELDS}
    values["status"] = BatchStatus(values["status"])
    return Batch(**values)
