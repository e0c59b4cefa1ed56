"""One way to a database: SQLite (WAL, fully synchronous) or PostgreSQL, and short transactions."""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

BUSY_TIMEOUT: Final = 20.0  # seconds that a writer waits for SQLite's one write lock
BUSY_LOOK: Final = 0.001  # seconds between two looks at that lock
POOL_SIZE: Final = 8  # connections a process; a few more may open for a moment
CONNECT_TIMEOUT: Final = 5  # seconds


class DatabaseUnavailableError(Exception):
    """The database cannot be reached or is too busy; the same call may succeed later."""


class Database:
    """An engine that is made when first used, so that no connection is ever shared over a fork."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine: Engine | None = None
        # SQLite lets a writer that has to wait sleep for up to a tenth of a second; threads of one process queue here.
        self._turn = threading.RLock() if self.is_sqlite else nullcontext()

    @property
    def engine(self) -> Engine:
        """The engine."""
        if self._engine is None:
            self._engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        return self._engine

    @contextmanager
    def begin(
        self, lock: str | None = None, *, also: Collection[str] = (), lasting: bool = True
    ) -> Iterator[Connection]:
        """A transaction that writes; committed at the end, rolled back by any exception.

        `lock` names something outside the database (an object's key) that no other transaction with the same
        name may touch meanwhile; `also` names more of them. SQLite has one writer at a time anyway.

        Not `lasting`: the commit does not wait for the disk, and a power cut may undo it, whole. For what would
        only be done twice then.

        Raises:
            DatabaseUnavailableError: no connection, or the lock was not to be had in time.
        """
        with self._turn, self._faults(), self.engine.connect() as connection, _begun(connection, lasting):
            if not self.is_sqlite:
                if not lasting:
                    connection.exec_driver_sql("set local synchronous_commit = off")
                # In one order for everybody, or two transactions could wait for each other.
                for number in sorted({_lock_number(name) for name in (lock, *also) if name is not None}):
                    connection.execute(text("select pg_advisory_xact_lock(:number)"), {"number": number})
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading alone.

        Raises:
            DatabaseUnavailableError: no connection.
        """
        with self._faults(), self.engine.connect() as connection:
            yield connection.execution_options(regain_reads=True)

    def check(self) -> None:
        """Raise DatabaseUnavailableError unless the database answers."""
        with self.read() as connection:
            connection.execute(text("select 1"))

    def dispose(self) -> None:
        """Close every connection; the next use opens new ones."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise DatabaseUnavailableError(f"the database does not answer ({error.orig})") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseUnavailableError(f"the connection to the database broke ({error.orig})") from error
            raise


def _begun(connection: Connection, lasting: bool) -> RootTransaction:
    if not lasting:
        connection.execution_options(regain_lasting=False)
    return connection.begin()


def _lock_number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _postgresql(url: Any) -> Engine:
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=POOL_SIZE,
        connect_args={"connect_timeout": CONNECT_TIMEOUT},
    )


def _sqlite(url: Any) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT}, pool_size=POOL_SIZE)

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions are begun by us, below: the driver's own begin too late, and then cannot wait for the lock.
        connection.isolation_level = None
        for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
            connection.execute(f"pragma {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("regain_reads", False):
            connection.exec_driver_sql("begin")
            return
        # Between transactions alone can it be changed; `info` is the pooled connection's own.
        level = "full" if options.get("regain_lasting", True) else "normal"
        if connection.info.get("synchronous", "full") != level:
            connection.exec_driver_sql(f"pragma synchronous = {level}")
            connection.info["synchronous"] = level
        _begin_writing(connection)

    return engine


def _begin_writing(connection: Connection) -> None:
    """Take SQLite's write lock. SQLite itself sleeps for up to a tenth of a second between two looks at it."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    driver: Any = connection.connection.driver_connection  # past SQLAlchemy: twice a transaction, half of its start
    driver.execute("pragma busy_timeout = 0")
    try:
        while True:
            try:
                connection.exec_driver_sql("begin immediate")
            except OperationalError as error:
                busy = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(BUSY_LOOK)
            else:
                return
    finally:
        driver.execute(f"pragma busy_timeout = {BUSY_TIMEOUT * 1000:.0f}")
