"""Threads of the batches' duties: each does its own under a lock of its own in SQL, in one process at a time."""

import threading
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from shared.broker import BrokerUnavailableError, Publisher
from shared.buckets import Buckets
from shared.database import Database, DatabaseUnavailableError
from shared.object_store import ObjectStore, StoreError
from shared.settings import ServiceSettings
from shared.submission import Submitter
from worker.batches.collector import Collector
from worker.batches.feeder import Feeder
from worker.batches.finisher import Finisher
from worker.batches.validator import Validator
from worker.sql_lock import SqlLock

IDLE: Final = 0.25  # seconds between two looks where there was nothing to do
BUSY: Final = 0.02  # seconds where there was
log = structlog.get_logger()


class Duty(Protocol):
    """What a thread does."""

    def look(self) -> bool:
        """One round; whether there was anything to do."""

    def close(self) -> None:
        """The thread ends."""


def start(
    settings: ServiceSettings, database: Database, store: ObjectStore, publisher: Publisher, stop: threading.Event
) -> list[threading.Thread]:
    """Start the threads; they end once `stop` is set."""
    submitter = Submitter(settings, database, store, publisher)
    duties: dict[str, Callable[[], Duty]] = {
        "validate": lambda: Validator(database, store, Buckets(settings)),
        "feed": lambda: Feeder(settings, database, store, submitter),
        "collect": lambda: Collector(settings, database, store),
        "finish": lambda: Finisher(database, store),
    }
    threads = [
        threading.Thread(target=_run, args=(name, make, database, stop), name=f"batches-{name}")
        for name, make in duties.items()
    ]
    for thread in threads:
        thread.start()
    return threads


def _run(name: str, make: Callable[[], Duty], database: Database, stop: threading.Event) -> None:
    lock, duty = SqlLock(database, f"batches.{name}"), make()
    while not stop.is_set():
        busy = _look(name, lock, duty)
        stop.wait(BUSY if busy else IDLE)
    duty.close()
    lock.let_go()


def _look(name: str, lock: SqlLock, duty: Duty) -> bool:
    try:
        return lock.is_ours() and duty.look()
    except (DatabaseUnavailableError, BrokerUnavailableError, StoreError) as error:
        log.warning("duty_postponed", duty=name, reason=str(error))
    except Exception:
        log.exception("duty_failed", duty=name)
    return False
