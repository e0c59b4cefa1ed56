"""Which deliveries are due, receiver by receiver: what the control loop announces from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from shared.database.delivery_store import DeliveryStatus, is_announced, is_due, is_free
from shared.database.tables import webhook_deliveries

_table: Final = webhook_deliveries.c


@dataclass(frozen=True, slots=True)
class Receiver:
    """What waits for one receiver."""

    name: str
    ready: int  # deliveries that are due and that nobody is at
    busy: int  # announced or under way
    suspect: bool  # a try of something that still waits has failed


def anything_due(connection: Connection, now: float) -> bool:
    """Whether there is anything to plan; the cheap look before the thorough one."""
    return connection.execute(select(_table.id).where(is_due(now)).limit(1)).first() is not None


def receivers(connection: Connection, now: float) -> list[Receiver]:
    """Everyone for whom something waits; who has waited longest comes first."""
    taken = or_(is_announced(now), ~is_free(now))
    query = (
        select(
            _table.receiver,
            func.count(_table.id).filter(and_(_table.due <= now, ~taken)).label("ready"),
            func.count(_table.id).filter(taken).label("busy"),
            func.count(_table.error).label("failed"),
        )
        .where(_table.status == DeliveryStatus.PENDING)
        .group_by(_table.receiver)
        .order_by(func.min(_table.due))
    )
    return [Receiver(row.receiver, row.ready, row.busy, row.failed > 0) for row in connection.execute(query)]


def oldest(connection: Connection, receiver: str, now: float, limit: int) -> list[str]:
    """A receiver's deliveries that are due and that nobody is at or was told of."""
    query = select(_table.id).where(_table.receiver == receiver, _untold(now)).order_by(_table.due).limit(limit)
    return list(connection.execute(query).scalars())


def mark_announced(connection: Connection, delivery_ids: Sequence[str], now: float, until: float) -> None:
    """Messages are about to be sent."""
    where = and_(_table.id.in_(delivery_ids), _untold(now))
    connection.execute(update(webhook_deliveries).where(where).values(announced_until=until))


def unmark(connection: Connection, delivery_ids: Sequence[str]) -> None:
    """The broker did not take these messages."""
    where = _table.id.in_(delivery_ids)
    connection.execute(update(webhook_deliveries).where(where).values(announced_until=None))


def _untold(now: float) -> ColumnElement[bool]:
    return and_(is_due(now), is_free(now), ~is_announced(now))
