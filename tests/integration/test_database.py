"""SQLite's one write lock, between processes: who waits is served soon, who waits too long is told so."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.database import Database, DatabaseUnavailableError, engine

HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin immediate")
print("held", flush=True)
sys.stdin.readline()
connection.execute("rollback")
print("let go", flush=True)
time.sleep(30)
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A file with one table."""
    made = Database(f"sqlite:///{tmp_path}/regain.db")
    with made.begin() as connection:
        connection.execute(text("create table notes (words text)"))
    yield made
    made.dispose()


@contextmanager
def held(database: Database) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock until it is sent a line."""
    command = [sys.executable, "-c", HOLDER, str(database.url.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def write(database: Database, words: str) -> None:
    """One short transaction."""
    with database.begin() as connection:
        connection.execute(text("insert into notes values (:words)"), {"words": words})


def written(database: Database) -> list[str]:
    """Everything that was committed."""
    with database.read() as connection:
        return [str(words) for words in connection.execute(text("select words from notes")).scalars()]


def test_a_writer_waits_for_another_process(database: Database) -> None:
    with held(database) as holder:
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        write(database, "after")
        assert holder.poll() is None  # it went on: nothing was taken from it
    assert written(database) == ["after"]


def test_who_waits_too_long_is_told_so_and_may_try_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0.3)
    with held(database):
        begun = time.monotonic()
        with pytest.raises(DatabaseUnavailableError, match="locked"):
            write(database, "too early")
        assert 0.3 <= time.monotonic() - begun < 10
        assert written(database) == []  # readers never wait
    write(database, "later")
    assert written(database) == ["later"]


def test_another_fault_than_a_busy_lock_is_not_waited_out(database: Database) -> None:
    database.dispose()
    path = Path(str(database.url.database))
    path.write_bytes(b"no database at all" * 100)
    begun = time.monotonic()
    with pytest.raises(Exception, match="not a database"):
        write(database, "lost")
    assert time.monotonic() - begun < engine.BUSY_TIMEOUT / 2
