"""Everything that changes or reads the rows of a batch. Whatever changes a row changes the batch's counts with it."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from shared.batches import OPEN_ROWS, Batch, BatchRow, BatchStatus, RowState
from shared.database import batch_store
from shared.database.counting import count
from shared.database.job_store import job_of
from shared.database.tables import batch_rows, batches, jobs
from shared.jobs import FINAL, Job

PAGE_LIMIT: Final = 1000  # rows in one page; one more is read, to see whether there is another
_FIELDS: Final = tuple(BatchRow.__dataclass_fields__)


def add(  # noqa: PLR0913  (how far the manifest was read)
    connection: Connection, batch: Batch, rows: Sequence[BatchRow], *, line: int, position: str | None, now: float
) -> bool:
    """Store rows of a manifest and up to where it was read; False: somebody else was there, or it is called off."""
    states = Counter(row.state for row in rows)
    still = (batches.c.status == BatchStatus.VALIDATING, batches.c.line == batch.line)
    moved = batch_store.shift(
        connection, batch.id, states, now, *still, total=batches.c.total + len(rows), line=line, position=position
    )
    if moved and rows:
        connection.execute(insert(batch_rows), [{name: getattr(row, name) for name in _FIELDS} for row in rows])
        _count_ends(connection, batch.id, rows)
    return moved


def taken_outputs(connection: Connection, batch_id: str, digests: Collection[int]) -> set[int]:
    """Which of these outputs earlier rows have already."""
    query = select(batch_rows.c.output_digest).where(
        batch_rows.c.batch == batch_id, batch_rows.c.output_digest.in_(digests)
    )
    return set(connection.execute(query).scalars())


def get(connection: Connection, batch_id: str, line: int) -> BatchRow | None:
    """One row."""
    query = select(batch_rows).where(batch_rows.c.batch == batch_id, batch_rows.c.line == line)
    row = connection.execute(query).one_or_none()
    return None if row is None else _row_of(row)


def page(
    connection: Connection, batch_id: str, *, state: RowState | None = None, after: int = 0, limit: int = 50
) -> list[BatchRow]:
    """Rows behind a line, in the manifest's order."""
    query = select(batch_rows).where(batch_rows.c.batch == batch_id, batch_rows.c.line > after)
    if state is not None:
        query = query.where(batch_rows.c.state == state)
        if state is not RowState.WAITING:
            query = query.where(batch_rows.c.due == 0)  # always so; with it the index gives them in order
    query = query.order_by(batch_rows.c.line).limit(min(limit, PAGE_LIMIT + 1))
    return [_row_of(row) for row in connection.execute(query)]


def due(connection: Connection, batch_id: str, now: float, limit: int) -> list[BatchRow]:
    """The next rows to become jobs; those that were put off come behind."""
    query = (
        select(batch_rows)
        .where(batch_rows.c.batch == batch_id, batch_rows.c.state == RowState.WAITING, batch_rows.c.due <= now)
        .order_by(batch_rows.c.due, batch_rows.c.line)
        .limit(limit)
    )
    return [_row_of(row) for row in connection.execute(query)]


def find_twin(connection: Connection, row: BatchRow, result_key: str) -> str | None:
    """The source of another row of the batch that comes, or came, to the same result."""
    query = (
        select(batch_rows.c.source)
        .where(
            batch_rows.c.batch == row.batch,
            batch_rows.c.result_key == result_key,
            batch_rows.c.line != row.line,
            batch_rows.c.state.in_([RowState.QUEUED, RowState.RESTORED, RowState.UNCHANGED]),
        )
        .limit(1)
    )
    return connection.execute(query).scalars().first()


def enqueue(connection: Connection, row: BatchRow, job: Job, now: float) -> bool:
    """A waiting row has its job, made in this transaction."""
    return _move(connection, row, RowState.QUEUED, now, job=job.id, result_key=job.result_key)


def settle(connection: Connection, row: BatchRow, outcome: RowState, now: float, **values: Any) -> bool:
    """A row has its outcome; False: it had one, or is no longer where it was."""
    moved = _move(connection, row, outcome, now, **values)
    if moved:
        _count_ends(connection, row.batch, [replace(row, state=outcome, error_code=values.get("error_code"))])
    return moved


def put_off(connection: Connection, row: BatchRow, due: float, tries: int) -> None:
    """A passing fault: not before `due` (seconds since 1970)."""
    where = and_(_is(row), batch_rows.c.state == RowState.WAITING)
    connection.execute(update(batch_rows).where(where).values(due=due, tries=tries))


def ended(connection: Connection, batch_id: str, limit: int) -> list[tuple[BatchRow, Job | None]]:
    """Rows whose job has ended, with it; None: it was deleted."""
    query = (
        select(batch_rows)
        .select_from(batch_rows.outerjoin(jobs, jobs.c.id == batch_rows.c.job))
        .where(
            batch_rows.c.batch == batch_id,
            batch_rows.c.state == RowState.QUEUED,
            or_(jobs.c.id.is_(None), jobs.c.status.in_(FINAL)),
        )
        .limit(limit)
    )
    rows = [_row_of(row) for row in connection.execute(query)]
    final = select(jobs).where(jobs.c.id.in_([row.job for row in rows]))
    known = {row.id: job_of(row) for row in connection.execute(final)}
    return [(row, known.get(row.job or "")) for row in rows]


def queued_jobs(connection: Connection, batch_id: str, limit: int) -> list[str]:
    """Jobs of a batch's rows that have not ended."""
    query = (
        select(jobs.c.id)
        .select_from(batch_rows.join(jobs, jobs.c.id == batch_rows.c.job))
        .where(batch_rows.c.batch == batch_id, batch_rows.c.state == RowState.QUEUED, jobs.c.status.not_in(FINAL))
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def call_off(connection: Connection, batch_id: str, now: float, limit: int) -> int:
    """Waiting rows of a canceled batch get their outcome; how many."""
    query = _lines(batch_id, RowState.WAITING).limit(limit)
    lines = list(connection.execute(query).scalars())
    where = and_(batch_rows.c.batch == batch_id, batch_rows.c.line.in_(lines), batch_rows.c.state == RowState.WAITING)
    changed = connection.execute(update(batch_rows).where(where).values(state=RowState.CANCELED, due=0.0)).rowcount
    if changed:
        batch_store.shift(connection, batch_id, {RowState.WAITING: -changed, RowState.CANCELED: changed}, now)
        count(connection, "batch_rows", RowState.CANCELED.value, changed)
    return int(changed)


def has_runnable(connection: Connection, batch_id: str) -> bool:
    """Whether a row failed that a rerun may mend."""
    return connection.execute(_failed(batch_id).limit(1)).first() is not None


def put_back(connection: Connection, batch_id: str, now: float, limit: int) -> int:
    """Failed rows wait again; how many."""
    found = connection.execute(_failed(batch_id).limit(limit)).all()
    lines = [row.line for row in found]
    fresh: dict[str, Any] = dict.fromkeys(("job", "result_key", "error_code", "error_message", "confidence", "seconds"))
    where = and_(batch_rows.c.batch == batch_id, batch_rows.c.line.in_(lines), batch_rows.c.state == RowState.FAILED)
    changed = connection.execute(
        update(batch_rows).where(where).values(state=RowState.WAITING, due=0.0, tries=0, **fresh)
    ).rowcount
    if changed:
        batch_store.shift(connection, batch_id, {RowState.FAILED: -changed, RowState.WAITING: changed}, now)
        codes = Counter(row.error_code for row in found if row.error_code is not None)
        batch_store.count_failures(connection, batch_id, {code: -number for code, number in codes.items()})
    return int(changed)


def remove(connection: Connection, batch_id: str, up_to: int) -> None:
    """Take away rows up to a line."""
    connection.execute(delete(batch_rows).where(batch_rows.c.batch == batch_id, batch_rows.c.line <= up_to))


def _move(connection: Connection, row: BatchRow, to: RowState, now: float, **values: Any) -> bool:
    where = and_(_is(row), batch_rows.c.state == row.state)
    if row.state is RowState.QUEUED:
        where = and_(where, batch_rows.c.job == row.job)
    if not connection.execute(update(batch_rows).where(where).values(state=to, due=0.0, **values)).rowcount:
        return False
    batch_store.shift(connection, row.batch, {row.state: -1, to: 1}, now)
    return True


def _count_ends(connection: Connection, batch_id: str, rows: Sequence[BatchRow]) -> None:
    for state, number in Counter(row.state for row in rows).items():
        if state not in OPEN_ROWS:
            count(connection, "batch_rows", state.value, number)
    codes = Counter(row.error_code for row in rows if row.state is RowState.FAILED and row.error_code is not None)
    batch_store.count_failures(connection, batch_id, codes)


def _is(row: BatchRow) -> Any:
    return and_(batch_rows.c.batch == row.batch, batch_rows.c.line == row.line)


def _lines(batch_id: str, state: RowState) -> Any:
    return select(batch_rows.c.line).where(batch_rows.c.batch == batch_id, batch_rows.c.state == state)


def _failed(batch_id: str) -> Any:
    return select(batch_rows.c.line, batch_rows.c.error_code).where(
        batch_rows.c.batch == batch_id, batch_rows.c.state == RowState.FAILED, batch_rows.c.runnable
    )


def _row_of(row: Row[Any]) -> BatchRow:
    values = {name: row._mapping[name] for name in _FIELDS}
    values["state"] = RowState(values["state"])
    return BatchRow(**values)
