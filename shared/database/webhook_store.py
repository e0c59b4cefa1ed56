"""Who is told of what: standing endpoints, and the one function by which every event is written.

An event and its deliveries are rows of the transaction that changes the job: there is no change without its event,
and no event without its change.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from shared.database import delivery_store
from shared.database.tables import events, webhook_deliveries, webhook_endpoints
from shared.events import DEFAULT, EventType, origin_of
from shared.signing import new_secret

MAX_ENDPOINTS: Final = 20  # of one tenant: each one is a row for every event
OVERLAP: Final = 24 * 3600.0  # seconds that a secret still signs after it was replaced
# Asked at every change of every job, so made once.
_STANDING: Final = select(webhook_endpoints.c.id, webhook_endpoints.c.events).where(
    webhook_endpoints.c.tenant == bindparam("tenant"), webhook_endpoints.c.disabled.is_(None)
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A standing receiver."""

    id: str
    tenant: str
    url: str
    events: tuple[EventType, ...]  # none: everything
    description: str | None
    secret: str
    previous_secret: str | None
    previous_until: float | None
    created: float
    updated: float
    disabled: float | None
    disabled_reason: str | None
    failing_since: float | None

    def secrets(self, now: float) -> tuple[str, ...]:
        """What signs: the secret, and the one before while receivers change over."""
        if self.previous_secret is not None and now < (self.previous_until or 0.0):
            return (self.secret, self.previous_secret)
        return (self.secret,)


def tell(  # noqa: PLR0913  (what an event is)
    connection: Connection,
    kind: EventType,
    tenant: str,
    make: Callable[[], Mapping[str, Any]],
    now: float,
    *,
    webhook: Mapping[str, Any] | None = None,
    job: str | None = None,
) -> str | None:
    """Write an event and a delivery for each who wants it; its id, or None where nobody does.

    `make` gives the event's data and is not called in vain; `webhook` = {url, events, secret} of the job or batch.
    """
    standing = connection.execute(_STANDING, {"tenant": tenant})
    receivers = [row.id for row in standing if not row.events or kind in row.events]
    own = webhook if webhook is not None and kind in (webhook.get("events") or DEFAULT) else None
    if not receivers and own is None:
        return None
    event_id = _write(connection, kind, tenant, make(), now, job=job)
    for endpoint in receivers:
        delivery_store.add(connection, event_id, tenant, now, endpoint=endpoint, receiver=endpoint)
    if own is not None:
        url, secret = str(own["url"]), own.get("secret")
        receiver = origin_of(tenant, url)
        delivery_store.add(connection, event_id, tenant, now, receiver=receiver, url=url, secret=secret)
    return event_id


def tell_test(connection: Connection, endpoint: Endpoint, now: float) -> str:
    """Write a test event for one endpoint; the delivery's id."""
    data = {"endpoint": endpoint.id, "message": "a test, asked for by the endpoint's owner"}
    event_id = _write(connection, EventType.TEST, endpoint.tenant, data, now)
    return delivery_store.add(connection, event_id, endpoint.tenant, now, endpoint=endpoint.id, receiver=endpoint.id)


def create(  # noqa: PLR0913  (an endpoint's columns)
    connection: Connection,
    tenant: str,
    url: str,
    wanted: Sequence[EventType],
    now: float,
    *,
    description: str | None = None,
) -> Endpoint | None:
    """A new endpoint with a fresh secret; None where the tenant has MAX_ENDPOINTS."""
    held = select(func.count()).where(webhook_endpoints.c.tenant == tenant)
    if int(connection.execute(held).scalar_one()) >= MAX_ENDPOINTS:
        return None
    endpoint_id = uuid.uuid4().hex
    connection.execute(
        insert(webhook_endpoints).values(
            id=endpoint_id,
            tenant=tenant,
            url=url,
            events=[kind.value for kind in wanted],
            description=description,
            secret=new_secret(),
            created=now,
            updated=now,
        )
    )
    return get(connection, endpoint_id)


def get(connection: Connection, endpoint_id: str, tenant: str | None = None) -> Endpoint | None:
    """An endpoint by id; None where there is none, or it is another tenant's."""
    query = select(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)
    if tenant is not None:
        query = query.where(webhook_endpoints.c.tenant == tenant)
    row = connection.execute(query).one_or_none()
    return None if row is None else _endpoint_of(row)


def every(connection: Connection, tenant: str) -> list[Endpoint]:
    """A tenant's endpoints, oldest first."""
    query = (
        select(webhook_endpoints)
        .where(webhook_endpoints.c.tenant == tenant)
        .order_by(webhook_endpoints.c.created, webhook_endpoints.c.id)
    )
    return [_endpoint_of(row) for row in connection.execute(query)]


def change(connection: Connection, endpoint_id: str, now: float, **values: Any) -> None:
    """Another url, other events or another description."""
    where = webhook_endpoints.c.id == endpoint_id
    connection.execute(update(webhook_endpoints).where(where).values(updated=now, **values))


def rotate(connection: Connection, endpoint: Endpoint, now: float) -> None:
    """A fresh secret; the one before still signs beside it for OVERLAP seconds."""
    change(
        connection,
        endpoint.id,
        now,
        secret=new_secret(),
        previous_secret=endpoint.secret,
        previous_until=now + OVERLAP,
    )


def disable(connection: Connection, endpoint_id: str, reason: str, now: float) -> bool:
    """Tell it nothing more; what it has not got yet is called off and can be delivered again. False: it was."""
    where = (webhook_endpoints.c.id == endpoint_id) & webhook_endpoints.c.disabled.is_(None)
    values = {"disabled": now, "disabled_reason": reason, "updated": now}
    if connection.execute(update(webhook_endpoints).where(where).values(**values)).rowcount == 0:
        return False
    delivery_store.call_off(connection, endpoint_id, f"the endpoint was disabled: {reason}", now)
    return True


def enable(connection: Connection, endpoint_id: str, now: float) -> None:
    """Tell it of what happens from now on."""
    change(connection, endpoint_id, now, disabled=None, disabled_reason=None, failing_since=None)


def remove(connection: Connection, endpoint_id: str) -> None:
    """Delete an endpoint and what it was sent."""
    connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.endpoint == endpoint_id))
    connection.execute(delete(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id))


def answered(connection: Connection, endpoint_id: str) -> None:
    """It took an event: whatever failed before is forgiven."""
    where = (webhook_endpoints.c.id == endpoint_id) & webhook_endpoints.c.failing_since.is_not(None)
    connection.execute(update(webhook_endpoints).where(where).values(failing_since=None))


def failed(connection: Connection, endpoint_id: str, now: float) -> float:
    """It did not take an event; since when that is so without a success in between."""
    where = (webhook_endpoints.c.id == endpoint_id) & webhook_endpoints.c.failing_since.is_(None)
    connection.execute(update(webhook_endpoints).where(where).values(failing_since=now))
    query = select(webhook_endpoints.c.failing_since).where(webhook_endpoints.c.id == endpoint_id)
    since = connection.execute(query).scalar_one_or_none()
    return now if since is None else float(since)


def _write(  # noqa: PLR0913  (an event's columns)
    connection: Connection, kind: EventType, tenant: str, data: Mapping[str, Any], now: float, *, job: str | None = None
) -> str:
    event_id = f"msg_{uuid.uuid4().hex}"
    connection.execute(
        insert(events).values(id=event_id, tenant=tenant, type=kind.value, job=job, created=now, data=dict(data))
    )
    return event_id


def _endpoint_of(row: Row[Any]) -> Endpoint:
    values = dict(row._mapping)
    values["events"] = tuple(EventType(kind) for kind in values["events"])
    return Endpoint(**values)
