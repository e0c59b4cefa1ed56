"""Celery's pool of processes, which looks for dead ones more often."""

from typing import Final

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool

LOOK: Final = 0.5  # seconds between two looks


class _Pool(AsynPool):  # type: ignore[misc]
    """A process's end is seen by its closed pipe; but it may not be waited for yet, and the next look was 5 s away."""

    @property
    def timers(self) -> dict[object, float]:
        """What the event loop does every so many seconds."""
        return {self.maintain_pool: LOOK}


class Prefork(TaskPool):  # type: ignore[misc]
    """What `worker_pool` names."""

    Pool = _Pool
