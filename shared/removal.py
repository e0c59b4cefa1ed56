"""Objects go when nobody needs them any more, under a lock, so that nobody comes to need them meanwhile."""

from shared.database import Database, batch_store, job_store
from shared.jobs import Job
from shared.object_store import ObjectStore


def remove_job(database: Database, store: ObjectStore, job: Job) -> None:
    """Delete a job's row and whatever objects no other job needs.

    Raises:
        StoreError, DatabaseUnavailableError: not done; the same call may be made again.
    """
    for key in keys_of(job):
        remove_unused(database, store, key, besides=job.id)
    with database.begin() as connection:
        job_store.remove(connection, job.id)


def remove_unused(database: Database, store: ObjectStore, key: str, besides: str = "") -> bool:
    """Delete an object unless a batch or a job other than `besides` needs it; whether it went."""
    with database.begin(lock=key) as connection:
        if job_store.uses_of(connection, key, besides) or batch_store.needs(connection, key):
            return False
        store.delete(key)
    return True


def keys_of(job: Job) -> list[str]:
    """The objects of a job."""
    return [key for key in (job.result_key, job.source_key, job.original_key) if key is not None]
