"""Everything that changes or reads a job's row. Each function takes the connection of its caller's transaction.

A change is a compare-and-set: it names the states it may start from and says whether it took place.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from shared.database import job_statements, webhook_store
from shared.database.counting import count
from shared.database.tables import jobs, outbox
from shared.events import EventType
from shared.job_view import job_view
from shared.jobs import PERCENT, TRANSITIONS, Job, JobStatus, Queue, Stage

PAGE_LIMIT: Final = 200  # jobs in one page; one more is read, to see whether there is another
_FIELDS: Final = tuple(Job.__dataclass_fields__)
_EVENTS: Final = {
    JobStatus.QUEUED: EventType.JOB_QUEUED,
    JobStatus.SUCCEEDED: EventType.JOB_SUCCEEDED,
    JobStatus.FAILED: EventType.JOB_FAILED,
    JobStatus.DEAD: EventType.JOB_FAILED,  # to whoever waits it is the same; the status says which
}


def new_id() -> str:
    """32 hex digits that sort by time of creation (UUID version 7's layout)."""
    stamp = int(time.time() * 1000).to_bytes(6, "big").hex()
    return stamp + uuid.uuid4().hex[12:]


def add(connection: Connection, job: Job, fingerprint: str | None) -> bool:
    """Insert a job and, unless it is final already, the message that announces it.

    Returns False where a live job with the same fingerprint exists; the caller then reads that one.
    """
    row = asdict(job)
    statement = job_statements.ADD[connection.dialect.name]
    if connection.execute(statement, {**row, "fingerprint": fingerprint}).rowcount == 0:
        return False
    if not job.is_final:
        announce(connection, job.id, job.queue, due=job.created)
    count(connection, "submitted", job.queue.value)
    _tell(connection, _EVENTS[job.status], job, job.created)
    return True


def get(connection: Connection, job_id: str, tenant: str | None = None) -> Job | None:
    """A job by id; None where there is none, or it is another tenant's."""
    statement = job_statements.GET if tenant is None else job_statements.GET_OF_TENANT
    row = connection.execute(statement, {"id": job_id, "tenant": tenant}).one_or_none()
    return None if row is None else job_of(row)


def find_live(connection: Connection, tenant: str, fingerprint: str) -> Job | None:
    """The queued, running or succeeded job of this very submission."""
    row = connection.execute(job_statements.LIVE, {"tenant": tenant, "fingerprint": fingerprint}).one_or_none()
    return None if row is None else job_of(row)


def find_result(connection: Connection, result_key: str, tenant: str) -> Job | None:
    """A succeeded job of the tenant whose stored result is just what is wanted."""
    wanted = {"result_key": result_key, "tenant": tenant}
    row = connection.execute(job_statements.WITH_RESULT, wanted).one_or_none()
    return None if row is None else job_of(row)


def page(  # noqa: PLR0913  (each a filter of the list)
    connection: Connection,
    tenant: str,
    *,
    status: JobStatus | None = None,
    created_after: float | None = None,
    before: tuple[float, str] | None = None,
    limit: int = 50,
) -> list[Job]:
    """A tenant's jobs, newest first; `before` = (created, id) of the last job of the page before."""
    query = select(jobs).where(jobs.c.tenant == tenant)
    if status is not None:
        query = query.where(jobs.c.status == status)
    if created_after is not None:
        query = query.where(jobs.c.created > created_after)
    if before is not None:
        created, job_id = before
        query = query.where(or_(jobs.c.created < created, and_(jobs.c.created == created, jobs.c.id < job_id)))
    query = query.order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(min(limit, PAGE_LIMIT + 1))
    return [job_of(row) for row in connection.execute(query)]


def claim(connection: Connection, job_id: str, holder: str, lease: float, now: float) -> Job | None:
    """Take a job that is queued, or whose holder's lease has run out. None: somebody else has it, or it is final."""
    free = or_(
        jobs.c.status == JobStatus.QUEUED,
        and_(jobs.c.status == JobStatus.RUNNING, jobs.c.lease_until < now),
    )
    changed = _set(
        connection,
        and_(jobs.c.id == job_id, free),
        status=JobStatus.RUNNING,
        attempt=jobs.c.attempt + 1,
        holder=holder,
        lease_until=now + lease,
        started=now,
        finished=None,
        stage=Stage.FETCH,
        percent=0,
        updated=now,
    )
    if (job := get(connection, job_id) if changed else None) is not None:
        _tell(connection, EventType.JOB_RUNNING, job, now)
    return job


def take_over(connection: Connection, job_id: str, dead_holder: str, now: float) -> bool:
    """End the lease of a holder that is known to be dead, so that the job can be claimed at once."""
    where = and_(jobs.c.id == job_id, jobs.c.status == JobStatus.RUNNING, jobs.c.holder == dead_holder)
    return _set(connection, where, lease_until=now - 1, updated=now)


def renew(connection: Connection, job: Job, lease: float, now: float) -> bool:
    """Keep a lease; False: it is lost, and whatever is being made is no longer wanted."""
    changed = connection.execute(update(jobs).where(_held(job)).values(lease_until=now + lease))
    return changed.rowcount == 1


def report_stage(connection: Connection, job: Job, stage: Stage, now: float, lease: float) -> bool:
    """Say what is being done, and keep the lease."""
    changed = _set(connection, _held(job), stage=stage, percent=PERCENT[stage], updated=now, lease_until=now + lease)
    if changed:
        _tell(connection, EventType.JOB_PROGRESS, job, now)
    return changed


def succeed(  # noqa: PLR0913  (what a finished job is)
    connection: Connection,
    job: Job,
    result: Mapping[str, Any],
    timings: Mapping[str, float],
    now: float,
    *,
    deduplicated: bool = False,
) -> bool:
    """The result is stored: the last compare-and-set. A late finisher whose lease went to another loses it."""
    done = _finish(
        connection,
        job,
        JobStatus.SUCCEEDED,
        now,
        stage=None,
        percent=100,
        result=dict(result),
        timings=dict(timings),
        deduplicated=deduplicated,
        error_code=None,
        error_message=None,
    )
    if done:
        for stage, seconds in timings.items():
            count(connection, "stage_seconds_sum", stage, seconds)
            count(connection, "stage_seconds_count", stage)
        if job.started is not None:
            count(connection, "queue_wait_seconds_sum", job.queue.value, max(0.0, job.started - job.created))
            count(connection, "queue_wait_seconds_count", job.queue.value)
    return done


def fail(connection: Connection, job: Job, code: str, message: str, now: float) -> bool:
    """The input is at fault; never tried again by itself."""
    return _finish(connection, job, JobStatus.FAILED, now, error_code=code, error_message=message)


def bury(connection: Connection, job: Job, code: str, message: str, now: float) -> bool:
    """Our side failed it too often: dead letter, with the reason."""
    return _finish(connection, job, JobStatus.DEAD, now, error_code=code, error_message=message)


def put_back(  # noqa: PLR0913  (a fault and when to try again)
    connection: Connection, job: Job, code: str, message: str, *, now: float, delay: float
) -> bool:
    """A passing fault: back to the queue after `delay` seconds, the reason kept for whoever asks."""
    changed = _set(
        connection,
        _held(job),
        status=JobStatus.QUEUED,
        stage=None,
        percent=0,
        holder=None,
        lease_until=None,
        error_code=code,
        error_message=message,
        updated=now,
        published=None,
    )
    if changed:
        announce(connection, job.id, job.queue, due=now + delay)
    return changed


def cancel(connection: Connection, job_id: str, now: float) -> bool:
    """Call a job off; a worker that has it finds its lease gone."""
    where = and_(jobs.c.id == job_id, jobs.c.status.in_(_sources(JobStatus.CANCELED)))
    values: dict[str, Any] = {"finished": now, "holder": None, "lease_until": None, "stage": None}
    changed = _set(connection, where, status=JobStatus.CANCELED, updated=now, **values, expires=_expiry(now))
    if changed:
        connection.execute(delete(outbox).where(outbox.c.job == job_id))
        count(connection, "finished", JobStatus.CANCELED.value)
        if (job := get(connection, job_id)) is not None:
            _tell(connection, EventType.JOB_CANCELED, job, now)
    return changed


def retry(connection: Connection, job_id: str, now: float) -> bool:
    """Put a failed, canceled or dead job back, with all its attempts before it."""
    where = and_(jobs.c.id == job_id, jobs.c.status.in_(_sources(JobStatus.QUEUED) - {JobStatus.RUNNING}))
    fresh: dict[str, Any] = dict.fromkeys(
        ("stage", "holder", "lease_until", "error_code", "error_message", "started", "finished", "expires", "published")
    )
    try:
        with connection.begin_nested():
            changed = _set(connection, where, status=JobStatus.QUEUED, attempt=0, percent=0, updated=now, **fresh)
    except IntegrityError:
        return False  # the same submission lives on as another job
    if changed and (job := get(connection, job_id)) is not None:
        announce(connection, job.id, job.queue, due=now)
        _tell(connection, EventType.JOB_QUEUED, job, now)
    return changed


def remove(connection: Connection, job_id: str) -> None:
    """Delete a job's row and its unsent messages."""
    connection.execute(delete(outbox).where(outbox.c.job == job_id))
    connection.execute(delete(jobs).where(jobs.c.id == job_id))


def forget_result(connection: Connection, job_id: str, now: float) -> None:
    """Retention took its objects: the row stays, and no submission is answered with it any more."""
    _set(connection, jobs.c.id == job_id, fingerprint=None, expires=None, updated=now)


def uses_of(connection: Connection, key: str, besides: str) -> int:
    """How many other jobs need an object."""
    query = select(func.count()).where(
        jobs.c.id != besides,
        or_(
            and_(or_(jobs.c.source_key == key, jobs.c.original_key == key), jobs.c.fingerprint.is_not(None)),
            and_(jobs.c.result_key == key, jobs.c.fingerprint.is_not(None)),
        ),
    )
    return int(connection.execute(query).scalar_one())


def announce(connection: Connection, job_id: str, queue: Queue, due: float) -> None:
    """Leave the message that a job waits, to be published once this transaction is committed."""
    connection.execute(job_statements.ANNOUNCE, {"job": job_id, "queue": queue, "due": due})


def mark_published(connection: Connection, job_ids: Sequence[str], now: float) -> None:
    """The broker has taken these jobs' messages."""
    if job_ids:
        connection.execute(job_statements.UNANNOUNCE, [{"id_": job_id} for job_id in job_ids])
        connection.execute(job_statements.PUBLISHED, [{"id_": job_id, "now": now} for job_id in job_ids])


def due_messages(connection: Connection, now: float, limit: int) -> list[tuple[str, Queue]]:
    """Messages to be published, oldest first."""
    query = select(outbox.c.job, outbox.c.queue).where(outbox.c.due <= now).order_by(outbox.c.due).limit(limit)
    return [(row.job, Queue(row.queue)) for row in connection.execute(query)]


def stranded(connection: Connection, queue: Queue, published_before: float, limit: int) -> list[str]:
    """Jobs that were announced long ago and that nobody has claimed, oldest first."""
    query = (
        select(jobs.c.id)
        .where(jobs.c.status == JobStatus.QUEUED, jobs.c.queue == queue, jobs.c.published < published_before)
        .order_by(jobs.c.published)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def announce_again(connection: Connection, job_ids: Sequence[str], queue: Queue, due: float) -> None:
    """The broker lost these jobs' messages."""
    connection.execute(update(jobs).where(jobs.c.id.in_(job_ids)).values(published=None))
    for job_id in job_ids:
        announce(connection, job_id, queue, due)


def waiting(connection: Connection, queue: Queue) -> int:
    """Jobs of a queue whose message was published and that nobody has claimed."""
    query = select(func.count()).where(
        jobs.c.status == JobStatus.QUEUED, jobs.c.queue == queue, jobs.c.published.is_not(None)
    )
    return int(connection.execute(query).scalar_one())


def abandoned(connection: Connection, now: float, limit: int) -> list[Job]:
    """Running jobs whose lease ran out."""
    query = select(jobs).where(jobs.c.status == JobStatus.RUNNING, jobs.c.lease_until < now).limit(limit)
    return [job_of(row) for row in connection.execute(query)]


def running(connection: Connection) -> list[Job]:
    """Every running job."""
    return [job_of(row) for row in connection.execute(select(jobs).where(jobs.c.status == JobStatus.RUNNING))]


def expired(connection: Connection, now: float, limit: int) -> list[Job]:
    """Final jobs whose retention is over."""
    query = select(jobs).where(jobs.c.expires < now).order_by(jobs.c.expires).limit(limit)
    return [job_of(row) for row in connection.execute(query)]


def counts_by_status(connection: Connection) -> dict[tuple[str, str], int]:
    """(status, queue) -> number of jobs, for metrics."""
    query = select(jobs.c.status, jobs.c.queue, func.count()).group_by(jobs.c.status, jobs.c.queue)
    return {(status, queue): number for status, queue, number in connection.execute(query)}


def oldest_waiting(connection: Connection) -> dict[str, float]:
    """Queue -> when the job that waits longest was submitted, for metrics."""
    query = select(jobs.c.queue, func.min(jobs.c.created).label("oldest")).where(jobs.c.status == JobStatus.QUEUED)
    return {row.queue: float(row.oldest) for row in connection.execute(query.group_by(jobs.c.queue))}


def submitted_since(connection: Connection, tenant: str, since: float) -> int:
    """How many jobs a tenant has submitted since a time, for quotas."""
    query = select(func.count()).where(jobs.c.tenant == tenant, jobs.c.created >= since)
    return int(connection.execute(query).scalar_one())


def job_of(row: Row[Any]) -> Job:
    """A row as a value."""
    values = {name: row._mapping[name] for name in _FIELDS}
    values["status"] = JobStatus(values["status"])
    values["queue"] = Queue(values["queue"])
    values["stage"] = None if values["stage"] is None else Stage(values["stage"])
    return Job(**values)


def _sources(target: JobStatus) -> frozenset[JobStatus]:
    """The states from which a state may be reached."""
    return frozenset(source for source, targets in TRANSITIONS.items() if target in targets)


def _held(job: Job) -> Any:
    """The fence: still running, by this holder, in this attempt."""
    return and_(
        jobs.c.id == job.id,
        jobs.c.status == JobStatus.RUNNING,
        jobs.c.holder == job.holder,
        jobs.c.attempt == job.attempt,
    )


def _finish(connection: Connection, job: Job, status: JobStatus, now: float, **values: Any) -> bool:
    ended: dict[str, Any] = {"holder": None, "lease_until": None, "finished": now, "updated": now}
    changed = _set(connection, _held(job), status=status, expires=_expiry(now), **ended, **values)
    if changed:
        count(connection, "finished", status.value)
        _tell(connection, _EVENTS[status], job, now)
    return changed


def _tell(connection: Connection, kind: EventType, job: Job, now: float) -> None:
    """Leave the event for webhooks, if any wants it; `job` may be older than its row."""

    def view() -> dict[str, Any]:
        return job_view(job_of(connection.execute(select(jobs).where(jobs.c.id == job.id)).one()))

    webhook_store.tell(connection, kind, job.tenant, view, now, webhook=job.webhook, job=job.id)


def _expiry(now: float) -> Any:
    """When retention ends, counted from now; never, where none was set."""
    return jobs.c.retention + now


def _set(connection: Connection, where: Any, **values: Any) -> bool:
    """Change a job's row if the condition holds; every visible change goes through here and counts the version."""
    changed = connection.execute(update(jobs).where(where).values(version=jobs.c.version + 1, **values))
    return changed.rowcount > 0
