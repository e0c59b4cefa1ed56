"""A job's lease, kept by a thread while the job is worked on."""

import threading
import time
from types import TracebackType
from typing import Final, Self

import structlog

from shared.database import DatabaseUnavailableError, job_store, watch
from shared.jobs import Job, Stage
from worker.context import Context

RENEWALS: Final = 4  # times in one lease
log = structlog.get_logger()


class LeaseLostError(Exception):
    """Somebody else has the job now, or it was canceled: stop, and store nothing."""


class Lease:
    """Renews while inside `with`; stages are reported through it."""

    def __init__(self, context: Context, job: Job) -> None:
        self._context, self._job = context, job
        self._seconds = context.settings.lease_seconds
        self._ended = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, stage: Stage) -> None:
        """Write down what is being done.

        Raises:
            LeaseLostError: the job is no longer ours.
        """
        if self._lost:
            raise LeaseLostError
        try:
            # A power cut that undoes it ends the work too.
            with self._context.database.begin(lasting=False) as connection:
                held = job_store.report_stage(connection, self._job, stage, time.time(), self._seconds)
        except DatabaseUnavailableError as error:
            # Progress is not worth failing for; the last compare-and-set decides.
            log.warning("stage_not_reported", stage=stage.value, reason=str(error))
            return
        if not held:
            raise LeaseLostError

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / RENEWALS):
            try:
                with self._context.database.begin(lasting=False) as connection:
                    now = time.time()
                    if not job_store.renew(connection, self._job, self._seconds, now):
                        self._lost = True
                        return
                    watch.saw_worker(connection, self._context.holder, self._context.queues, now)
            except DatabaseUnavailableError as error:
                log.warning("lease_not_renewed", reason=str(error))
