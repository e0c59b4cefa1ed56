"""Counters in SQL: they survive every process, and one transaction changes them with what they count."""

import random
from typing import Final

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from shared.database.tables import counters

SHARDS: Final = 8  # rows a counter


def count(connection: Connection, name: str, label: str, value: float = 1.0) -> None:
    """Add to a counter."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(counters).values(
        name=name,
        label=label,
        shard=random.randrange(SHARDS),  # noqa: S311  (spreads commits; nothing is secret)
        value=value,
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[counters.c.name, counters.c.label, counters.c.shard],
            set_={"value": counters.c.value + value},
        )
    )


def totals(connection: Connection) -> dict[tuple[str, str], float]:
    """(name, label) -> value, over all shards."""
    query = select(counters.c.name, counters.c.label, func.sum(counters.c.value)).group_by(
        counters.c.name, counters.c.label
    )
    return {(name, label): float(value) for name, label, value in connection.execute(query)}
