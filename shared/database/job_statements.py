"""The statements of polls and submissions, made once: SQLAlchemy takes longer to build one than SQLite to run it."""

from typing import Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from shared.database.tables import jobs, outbox
from shared.jobs import JobStatus

GET: Final = select(jobs).where(jobs.c.id == bindparam("id"))
GET_OF_TENANT: Final = GET.where(jobs.c.tenant == bindparam("tenant"))
LIVE: Final = select(jobs).where(
    jobs.c.tenant == bindparam("tenant"),
    jobs.c.fingerprint == bindparam("fingerprint"),
    jobs.c.status.in_([JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED]),
)
WITH_RESULT: Final = (
    select(jobs)
    .where(
        jobs.c.result_key == bindparam("result_key"),
        jobs.c.tenant == bindparam("tenant"),
        jobs.c.status == JobStatus.SUCCEEDED,
        jobs.c.fingerprint.is_not(None),
    )
    .limit(1)
)
# By the name of the database's dialect: nothing is inserted where a live job has the same fingerprint.
ADD: Final = {dialect.dialect.name: dialect.insert(jobs).on_conflict_do_nothing() for dialect in (postgresql, sqlite)}
ANNOUNCE: Final = insert(outbox)
# One job at a time: a list of ids would make a statement of its own for each length.
UNANNOUNCE: Final = delete(outbox).where(outbox.c.job == bindparam("id_"))
PUBLISHED: Final = update(jobs).where(jobs.c.id == bindparam("id_")).values(published=bindparam("now"))
