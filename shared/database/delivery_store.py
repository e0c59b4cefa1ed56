"""The way of one event to one receiver: what is due, who is at it, what came of it.

A delivery is claimed by compare-and-set under a lease, as a job is, and a late finisher whose lease is over changes
nothing.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, exists, insert, or_, select, update

from shared.database.counting import count
from shared.database.tables import events, webhook_deliveries
from shared.events import EventType

PAGE_LIMIT: Final = 200  # deliveries in one page; one more is read, to see whether there is another
_table: Final = webhook_deliveries.c


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # to be tried, or tried again
    DELIVERED = "delivered"  # the receiver answered 2xx
    FAILED = "failed"  # every try failed; it can be delivered again by hand
    CANCELED = "canceled"  # its endpoint was disabled meanwhile


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one receiver. Times are seconds since 1970, UTC."""

    id: str
    event: str  # what receivers see as `webhook-id`; the same in every try
    kind: EventType
    job: str | None
    tenant: str
    endpoint: str | None  # None: a job's own webhook
    url: str | None
    secret: str | None
    receiver: str
    status: DeliveryStatus
    attempts: int
    due: float | None
    lease_until: float | None
    code: int | None
    seconds: float | None
    excerpt: str | None
    error: str | None
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try; `code` is None where there was no answer."""

    code: int | None
    seconds: float
    excerpt: str = ""
    error: str | None = None  # None: it was taken


def add(  # noqa: PLR0913  (a delivery's columns)
    connection: Connection,
    event_id: str,
    tenant: str,
    now: float,
    *,
    receiver: str,
    endpoint: str | None = None,
    url: str | None = None,
    secret: str | None = None,
) -> str:
    """Leave an event for a receiver; the delivery's id."""
    delivery_id = uuid.uuid4().hex
    row = {"id": delivery_id, "event": event_id, "tenant": tenant, "endpoint": endpoint, "url": url, "secret": secret}
    connection.execute(
        insert(webhook_deliveries).values(
            **row,
            receiver=receiver,
            status=DeliveryStatus.PENDING,
            attempts=0,
            due=now,
            created=now,
            updated=now,
        )
    )
    return delivery_id


def get(connection: Connection, delivery_id: str) -> Delivery | None:
    """A delivery by id."""
    row = connection.execute(_joined().where(_table.id == delivery_id)).one_or_none()
    return None if row is None else _delivery_of(row)


def page(
    connection: Connection,
    endpoint_id: str,
    *,
    status: DeliveryStatus | None = None,
    before: tuple[float, str] | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """An endpoint's deliveries, newest first; `before` = (created, id) of the last one of the page before."""
    query = _joined().where(_table.endpoint == endpoint_id)
    if status is not None:
        query = query.where(_table.status == status)
    if before is not None:
        created, delivery_id = before
        query = query.where(or_(_table.created < created, and_(_table.created == created, _table.id < delivery_id)))
    query = query.order_by(_table.created.desc(), _table.id.desc()).limit(min(limit, PAGE_LIMIT + 1))
    return [_delivery_of(row) for row in connection.execute(query)]


def data_of(connection: Connection, event_id: str) -> tuple[float, dict[str, Any]]:
    """When an event happened, and its data."""
    row = connection.execute(select(events.c.created, events.c.data).where(events.c.id == event_id)).one()
    return float(row.created), dict(row.data)


def claim(connection: Connection, delivery_id: str, lease: float, now: float) -> Delivery | None:
    """Take a delivery that is due; None: somebody is at it, or nothing is to be done."""
    where = and_(_table.id == delivery_id, is_due(now), is_free(now))
    changed = connection.execute(
        update(webhook_deliveries)
        .where(where)
        .values(attempts=_table.attempts + 1, lease_until=now + lease, announced_until=None, updated=now)
    )
    return get(connection, delivery_id) if changed.rowcount else None


def next_due(connection: Connection, receiver: str, now: float) -> str | None:
    """The oldest delivery to a receiver that is due and that nobody is at or was told of."""
    query = select(_table.id).where(_table.receiver == receiver, is_due(now), is_free(now), ~is_announced(now))
    return connection.execute(query.order_by(_table.due).limit(1)).scalar_one_or_none()


def finish(  # noqa: PLR0913  (what came of a try, and what follows)
    connection: Connection,
    delivery: Delivery,
    status: DeliveryStatus,
    outcome: Outcome,
    now: float,
    *,
    due: float | None = None,
) -> bool:
    """Write what came of a try; `due` = the next one. False: the lease was over, and another try counts."""
    where = and_(
        _table.id == delivery.id,
        _table.status == DeliveryStatus.PENDING,
        _table.attempts == delivery.attempts,
        _table.lease_until == delivery.lease_until,
    )
    values = {"code": outcome.code, "seconds": outcome.seconds, "excerpt": outcome.excerpt, "error": outcome.error}
    changed = connection.execute(
        update(webhook_deliveries).where(where).values(status=status, due=due, lease_until=None, updated=now, **values)
    )
    if changed.rowcount:
        count(connection, "webhook_tries", "taken" if status is DeliveryStatus.DELIVERED else "not_taken")
    return changed.rowcount > 0


def call_off(connection: Connection, endpoint_id: str, reason: str, now: float) -> None:
    """End whatever an endpoint has not got yet."""
    where = and_(_table.endpoint == endpoint_id, _table.status == DeliveryStatus.PENDING)
    ended = {"status": DeliveryStatus.CANCELED, "due": None, "lease_until": None, "updated": now}
    connection.execute(update(webhook_deliveries).where(where).values(error=reason, **ended))


def again(connection: Connection, where: ColumnElement[bool], now: float) -> int:
    """Deliver anew, with all tries before it; how many. One that is under way or waits is left alone."""
    fresh = {"status": DeliveryStatus.PENDING, "attempts": 0, "due": now, "error": None, "updated": now}
    final = _table.status != DeliveryStatus.PENDING
    done = connection.execute(update(webhook_deliveries).where(where, final).values(announced_until=None, **fresh))
    waits = and_(where, _table.status == DeliveryStatus.PENDING, _table.due > now)
    hurried = connection.execute(update(webhook_deliveries).where(waits).values(due=now, updated=now))
    return done.rowcount + hurried.rowcount


def again_one(connection: Connection, delivery_id: str, now: float) -> int:
    """Deliver one anew, or at once if it waits for its next try."""
    return again(connection, _table.id == delivery_id, now)


def again_since(connection: Connection, endpoint_id: str, since: float, status: Sequence[str], now: float) -> int:
    """Deliver anew what an endpoint was to get since a time, of these states; how many."""
    where = and_(_table.endpoint == endpoint_id, _table.created >= since, _table.status.in_(status))
    return again(connection, where, now)


def purge(connection: Connection, before: float) -> int:
    """Forget what happened before a time and is not still being delivered; how many events went."""
    old = and_(_table.created < before, _table.status != DeliveryStatus.PENDING)
    connection.execute(delete(webhook_deliveries).where(old))
    wanted = exists().where(_table.event == events.c.id)
    return connection.execute(delete(events).where(events.c.created < before, ~wanted)).rowcount


def is_announced(now: float) -> ColumnElement[bool]:
    """Whether a message is on its way."""
    return and_(_table.announced_until.is_not(None), _table.announced_until >= now)


def is_due(now: float) -> ColumnElement[bool]:
    """Whether it is time for the next try."""
    return and_(_table.status == DeliveryStatus.PENDING, _table.due <= now)


def is_free(now: float) -> ColumnElement[bool]:
    """Whether nobody is at it, or whoever was is silent for too long."""
    return or_(_table.lease_until.is_(None), _table.lease_until < now)


def _joined() -> Select[Any]:
    return select(webhook_deliveries, events.c.type.label("kind"), events.c.job).join(
        events, events.c.id == webhook_deliveries.c.event
    )


def _delivery_of(row: Row[Any]) -> Delivery:
    values = {name: row._mapping[name] for name in Delivery.__dataclass_fields__}
    values["kind"] = EventType(values["kind"])
    values["status"] = DeliveryStatus(values["status"])
    return Delivery(**values)
