"""Who is alive: locks that one process holds at a time, and when each worker last worked."""

from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from shared.database.tables import locks, workers

FORGOTTEN: Final = 3600.0  # seconds after which a silent worker is no longer listed


def hold(connection: Connection, name: str, holder: str, now: float, seconds: float) -> bool:
    """Take or keep a lock for some seconds; False: another holds it."""
    free = (locks.c.holder == holder) | (locks.c.until < now)
    changed = connection.execute(
        update(locks).where(locks.c.name == name, free).values(holder=holder, until=now + seconds)
    )
    if changed.rowcount:
        return True
    try:
        with connection.begin_nested():
            connection.execute(insert(locks).values(name=name, holder=holder, until=now + seconds))
    except IntegrityError:
        return False
    return True


def let_go(connection: Connection, name: str, holder: str) -> None:
    """Give a lock back early."""
    connection.execute(delete(locks).where(locks.c.name == name, locks.c.holder == holder))


def saw_worker(connection: Connection, holder: str, queues: str, now: float) -> None:
    """A worker did something: took a job, kept a lease, answered a call."""
    changed = connection.execute(update(workers).where(workers.c.holder == holder).values(seen=now, queues=queues))
    if not changed.rowcount:
        try:
            with connection.begin_nested():
                connection.execute(insert(workers).values(holder=holder, queues=queues, seen=now))
        except IntegrityError:
            return  # two children of one worker at once: the other's time is as good


def youngest_sign(connection: Connection) -> float | None:
    """When any worker was last seen."""
    seen = connection.execute(select(func.max(workers.c.seen))).scalar_one()
    return None if seen is None else float(seen)


def forget_workers(connection: Connection, now: float) -> None:
    """Drop workers that have been silent for long."""
    connection.execute(delete(workers).where(workers.c.seen < now - FORGOTTEN))
