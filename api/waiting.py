"""Waiting for a job to change, on no more threads than the process can spare."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shared.database import Database, job_store
from shared.jobs import Job

MAX_WAITERS: Final = 12  # threads that long polls and event streams may hold; gunicorn has 32 in a process
MAX_SECONDS: Final = 60.0  # of one long poll
_FIRST, _LONGEST = 0.05, 0.5  # seconds between two looks at the row


class Waiting:
    """A count of waiting threads; who finds no room does not wait."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = threading.BoundedSemaphore(MAX_WAITERS)

    def enter(self) -> bool:
        """Take a place; whoever got one gives it back by `leave`."""
        return self._room.acquire(blocking=False)

    def leave(self) -> None:
        """Give a place back."""
        self._room.release()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """A place for a while, if there is one."""
        taken = self.enter()
        try:
            yield taken
        finally:
            if taken:
                self.leave()

    def until_final(self, job: Job, seconds: float) -> Job:
        """The job once it is final, or as it is after `seconds`; as it is now where there is no room."""
        with self.place() as taken:
            end = time.monotonic() + min(seconds, MAX_SECONDS)
            while taken and not job.is_final and time.monotonic() < end:
                changed = self.next_version(job, end - time.monotonic())
                if changed is None:
                    break
                job = changed
        return job

    def next_version(self, job: Job, seconds: float) -> Job | None:
        """The job once it has changed; as it was after `seconds`; None: it was deleted. Holds the caller's thread."""
        end, pause = time.monotonic() + seconds, _FIRST
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(_LONGEST, pause * 1.5)
            with self._database.read() as connection:
                found = job_store.get(connection, job.id, job.tenant)
            if found is None or found.version != job.version:
                return found
        return job
