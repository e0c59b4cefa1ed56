"""A lock in SQL that one process holds at a time, kept with a write now and then."""

import os
import time
from typing import Final

import structlog

from shared.database import Database, DatabaseUnavailableError, watch
from worker.context import holder_name

HOLD: Final = 10.0  # seconds that a lock is held without a sign
KEEP: Final = HOLD / 4  # seconds between two writes that take or keep it
log = structlog.get_logger()


class SqlLock:
    """One duty's lock; two holders for a moment do no harm, since every change of a row compares and sets."""

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name, self._holder = database, name, holder_name(os.getpid())
        self._ours, self._due = False, 0.0

    def is_ours(self) -> bool:
        """Take or keep it; False too while the database does not answer."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + KEEP
            try:
                with self._database.begin() as connection:
                    self._ours = watch.hold(connection, self._name, self._holder, time.time(), HOLD)
            except DatabaseUnavailableError as error:
                log.warning("database_unavailable", reason=str(error))
                self._ours = False
        return self._ours

    def let_go(self) -> None:
        """Give it back early."""
        try:
            with self._database.begin() as connection:
                watch.let_go(connection, self._name, self._holder)
        except DatabaseUnavailableError:
            return  # the lock runs out by itself
