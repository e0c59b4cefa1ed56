"""Takes away what is past its time: results by retention, uploads that came to nothing, orphaned objects."""

import time
from typing import Final

import structlog

from shared.database import Database, job_store, request_store, watch
from shared.object_store import ObjectStore
from shared.removal import keys_of, remove_unused

BATCH: Final = 200  # jobs in one go
ORPHAN_AGE: Final = 24 * 3600.0  # seconds: nothing that is being submitted now is so old
PREFIXES: Final = ("uploads/", "results/", "incoming/", "manifests/", "reports/")
log = structlog.get_logger()


def sweep(database: Database, store: ObjectStore) -> None:
    """One round over everything whose time is known."""
    now = time.time()
    with database.begin() as connection:
        expired = job_store.expired(connection, now, BATCH)
        incoming = request_store.purge(connection, now)
        watch.forget_workers(connection, now)
    for key in incoming:
        remove_unused(database, store, key)  # a batch may still be reading it
    for job in expired:
        # Forgotten first: a submission in between must not be answered with a result that is about to go.
        with database.begin() as connection:
            job_store.forget_result(connection, job.id, time.time())
        for key in keys_of(job):
            remove_unused(database, store, key, besides=job.id)
    if expired or incoming:
        log.info("swept", jobs=len(expired), uploads=len(incoming))


def sweep_orphans(database: Database, store: ObjectStore, age: float = ORPHAN_AGE) -> int:
    """Delete objects that are older than `age` seconds and that no job needs; how many went."""
    gone = 0
    for prefix in PREFIXES:
        for found in store.list(prefix):
            if time.time() - found.modified.timestamp() > age:
                gone += remove_unused(database, store, found.key)
    if gone:
        log.info("orphans_swept", objects=gone)
    return gone
