"""Who can see HDR: counts of a day's views and visitors, and what tells visitors apart until the day is over.

A visitor is a hash of address and browser under the day's salt. Salt and hashes go with the day: nobody, we included,
can say afterwards who was counted, or that somebody of one day came again on another.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from shared.database.tables import view_counts, view_salts, visitors
from shared.insights import DynamicRange, Reading, Share

SALT_BYTES: Final = 32
HASH_BYTES: Final = 16
GROUPS: Final = ("day", "gamut", "renderer", "browser")  # that shares are told by


@dataclass(frozen=True, slots=True)
class Row:
    """The shares of one group: `visitors` counts each visitor of a day once, `events` every view."""

    group: str
    visitors: Share
    events: Share


def count_view(connection: Connection, day: str, address: str, agent: str, reading: Reading) -> bool:
    """Count a view, and its visitor at the first one of the day; whether it was the first.

    A visitor who comes back from another screen on the same day stays what the first view told.
    """
    visitor = _visitor(_salt(connection, day), address, agent)
    first = _insert(connection, visitors, day=day, visitor=visitor)
    row = {
        "day": day,
        "dynamic_range": reading.dynamic_range.value,
        "gamut": reading.gamut.value,
        "renderer": reading.renderer.value,
        "browser": reading.browser.value,
    }
    statement = _dialect(connection).insert(view_counts).values(**row, visitors=int(first), events=1)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[view_counts.c[name] for name in row],
            set_={"visitors": view_counts.c.visitors + int(first), "events": view_counts.c.events + 1},
        )
    )
    return first


def shares(connection: Connection, first_day: str, last_day: str, group: str) -> list[Row]:
    """The shares from one day to another, both included, by one of GROUPS, in its order."""
    column = view_counts.c[group]
    query = select(column, *_sums()).where(view_counts.c.day.between(first_day, last_day))
    return [_row(str(row[0]), row[1:]) for row in connection.execute(query.group_by(column).order_by(column))]


def total(connection: Connection, first_day: str, last_day: str) -> Row:
    """The shares of all views from one day to another, both included."""
    query = select(*_sums()).where(view_counts.c.day.between(first_day, last_day))
    return _row("", connection.execute(query).one())


def forget(connection: Connection, today: str) -> None:
    """Throw away the salts and visitors of the days before; the counts stay."""
    connection.execute(delete(visitors).where(visitors.c.day < today))
    connection.execute(delete(view_salts).where(view_salts.c.day < today))


def _salt(connection: Connection, day: str) -> str:
    """The day's salt; whoever comes first makes it, and throws the days before away."""
    query = select(view_salts.c.salt).where(view_salts.c.day == day)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        if _insert(connection, view_salts, day=day, salt=secrets.token_hex(SALT_BYTES)):
            forget(connection, day)
        found = connection.execute(query).scalar_one()
    return str(found)


def _visitor(salt: str, address: str, agent: str) -> str:
    message = f"{len(address)}:{address}{agent}".encode("utf-8", "replace")
    return hashlib.blake2b(message, key=bytes.fromhex(salt), digest_size=HASH_BYTES).hexdigest()


def _sums() -> list[Any]:
    """Visitors and events, those with HDR and all of each."""
    high = view_counts.c.dynamic_range == DynamicRange.HIGH.value
    counted = (view_counts.c.visitors, view_counts.c.events)
    return [part for number in counted for part in (func.sum(case((high, number), else_=0)), func.sum(number))]


def _row(group: str, sums: Any) -> Row:
    numbers = [int(number or 0) for number in sums]
    return Row(group, Share(numbers[0], numbers[1]), Share(numbers[2], numbers[3]))


def _insert(connection: Connection, table: Any, **values: str) -> bool:
    """Insert unless it is there; whether it was not."""
    statement = _dialect(connection).insert(table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement.returning(table.c.day)).first() is not None


def _dialect(connection: Connection) -> Any:
    return postgresql if connection.dialect.name == "postgresql" else sqlite
