"""Counters in SQL: they survive every process, and one transaction changes them with what they count."""

import random
from typing import Final

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from shared.database.tables import counters

SHARDS: Final = 8  # rows a counter
_ADD: Final = {
    dialect.dialect.name: dialect.insert(counters).on_conflict_do_update(
        index_elements=[counters.c.name, counters.c.label, counters.c.shard],
        set_={"value": counters.c.value + bindparam("more")},
    )
    for dialect in (postgresql, sqlite)
}


def count(connection: Connection, name: str, label: str, value: float = 1.0) -> None:
    """Add to a counter."""
    shard = random.randrange(SHARDS)  # noqa: S311  (spreads commits; nothing is secret)
    row = {"name": name, "label": label, "shard": shard, "value": value, "more": value}
    connection.execute(_ADD[connection.dialect.name], row)


def totals(connection: Connection) -> dict[tuple[str, str], float]:
    """(name, label) -> value, over all shards."""
    query = select(counters.c.name, counters.c.label, func.sum(counters.c.value)).group_by(
        counters.c.name, counters.c.label
    )
    return {(name, label): float(value) for name, label, value in connection.execute(query)}
