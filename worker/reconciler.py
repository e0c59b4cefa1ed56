"""Finds work that was lost on the way and puts it back: SQL knows every job, whatever became of its message."""

import time
from typing import Final

import structlog

from shared.broker import BrokerUnavailableError, Publisher
from shared.database import Database, job_store
from shared.database.counting import count
from shared.jobs import Queue
from shared.settings import ServiceSettings
from worker.context import is_dead

BATCH: Final = 1000  # jobs looked at in one go
SERVED: Final = (Queue.INTERACTIVE, Queue.BULK)
log = structlog.get_logger()


class Reconciler:
    """Remembers one thing from look to look: how many messages seemed to be missing."""

    def __init__(self, database: Database, publisher: Publisher, settings: ServiceSettings) -> None:
        self._database, self._publisher, self._settings = database, publisher, settings
        self._missing: dict[Queue, int] = {}

    def look(self) -> None:
        """One round."""
        self.free_abandoned()
        for queue in SERVED:
            self.announce_stranded(queue)

    def free_abandoned(self) -> None:
        """Running jobs whose holder is dead or silent go back, or to the dead letters."""
        now = time.time()
        with self._database.begin() as connection:
            for job in job_store.running(connection):
                if job.holder is not None and is_dead(job.holder):
                    job_store.take_over(connection, job.id, job.holder, now)
            for job in job_store.abandoned(connection, now, BATCH):
                count(connection, "lease_expired", job.queue.value)
                reason = "the worker that had the photo died or fell silent"
                if job.attempt >= self._settings.max_attempts:
                    message = f"{reason}; given up after {job.attempt} attempts"
                    job_store.bury(connection, job, "worker_lost", message, now)
                    log.error("job_dead", job=job.id, code="worker_lost")
                else:
                    job_store.put_back(connection, job, "worker_lost", reason, now=now, delay=-1.0)
                    log.warning("lease_expired", job=job.id, holder=job.holder)

    def announce_stranded(self, queue: Queue) -> None:
        """Jobs whose message the broker no longer has are announced again, oldest first.

        The broker's list is first in, first out: where it holds fewer messages than jobs wait, the lost ones
        belong to the jobs that wait longest. Two looks in a row must agree, since a message may just be on its
        way; one too many does no harm, a claim is a compare-and-set.
        """
        try:
            depth = self._publisher.depth(queue)
        except BrokerUnavailableError:
            return
        before = time.time() - self._settings.stranded_seconds
        with self._database.begin() as connection:
            missing = max(0, job_store.waiting(connection, queue) - depth)
            agreed = min(missing, self._missing.get(queue, 0))
            self._missing[queue] = missing
            lost = job_store.stranded(connection, queue, before, min(agreed, BATCH)) if agreed else []
            if lost:
                job_store.announce_again(connection, lost, queue, before)
                count(connection, "republished", queue.value, len(lost))
                log.warning("republished", queue=queue.value, messages=len(lost))
