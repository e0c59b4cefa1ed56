"""One delivery from claim to outcome: sign, post, and write down what came of it and what follows."""

import random
import time
from dataclasses import dataclass, replace
from typing import Final

import structlog

from shared.database import Database, delivery_store, webhook_store
from shared.database.delivery_store import Delivery, DeliveryStatus, Outcome
from shared.database.webhook_store import Endpoint
from shared.events import body
from shared.fetch import FetchError, post
from shared.settings import ServiceSettings
from shared.signing import signed_headers, tenant_secret

MARGIN: Final = 5.0  # seconds that a lease lasts beyond what a receiver has to answer
STREAK: Final = 1.0  # seconds for which one message may go on with its receiver's next deliveries
JITTER: Final = 0.1  # of a delay, added at random, so that what failed together does not come back together
LONGEST_WAIT: Final = 24 * 3600.0  # seconds: no Retry-After holds an event longer
GONE: Final = 410  # RFC 9110, 15.5.11: no interest in this any more, ever
SECONDS_AN_HOUR: Final = 3600.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed delivery and where it goes."""

    delivery: Delivery
    url: str
    keys: tuple[str, ...]  # what signs it
    body: bytes


def deliver(delivery_id: str, database: Database, settings: ServiceSettings) -> None:
    """Do what a message names, then whatever else is due to a receiver that answers.

    Raises:
        DatabaseUnavailableError: not tried, or tried and not written down: the lease runs out and it is tried again.
    """
    until = time.monotonic() + STREAK
    following: str | None = delivery_id
    while following is not None:
        parcel = _claim(following, database, settings)
        if parcel is None or not attempt(parcel, database, settings) or time.monotonic() > until:
            return
        with database.read() as connection:
            following = delivery_store.next_due(connection, parcel.delivery.receiver, time.time())


def attempt(parcel: Parcel, database: Database, settings: ServiceSettings) -> bool:
    """Send it once and write the outcome; whether the receiver took it."""
    outcome, wait = _send(parcel, settings)
    now = time.time()
    with database.begin() as connection:
        delivery = parcel.delivery
        if outcome.error is None:
            written = delivery_store.finish(connection, delivery, DeliveryStatus.DELIVERED, outcome, now)
            if written and delivery.endpoint is not None:
                webhook_store.answered(connection, delivery.endpoint)
        else:
            due = _next_try(delivery, outcome, wait, settings, now)
            status = DeliveryStatus.FAILED if due is None else DeliveryStatus.PENDING
            written = delivery_store.finish(connection, delivery, status, outcome, now, due=due)
            if written and delivery.endpoint is not None:
                since = webhook_store.failed(connection, delivery.endpoint, now)
                reason = _why_disabled(outcome, now - since, settings) if due is None else None
                if reason is not None and webhook_store.disable(connection, delivery.endpoint, reason, now):
                    log.warning("endpoint_disabled", endpoint=delivery.endpoint, reason=reason)
    log.info(
        "webhook_sent" if outcome.error is None else "webhook_failed",
        delivery=delivery.id,
        event_id=delivery.event,
        attempt=delivery.attempts,
        code=outcome.code,
        seconds=outcome.seconds,
        reason=outcome.error,
        **({} if written else {"too_late": True}),
    )
    return outcome.error is None


def _claim(delivery_id: str, database: Database, settings: ServiceSettings) -> Parcel | None:
    now = time.time()
    with database.begin() as connection:
        delivery = delivery_store.claim(connection, delivery_id, settings.webhook_seconds + MARGIN, now)
        if delivery is None:
            return None
        endpoint: Endpoint | None = None
        if delivery.endpoint is not None:
            endpoint = webhook_store.get(connection, delivery.endpoint)
            if endpoint is None or endpoint.disabled is not None:
                outcome = Outcome(None, 0.0, error="its endpoint is disabled or deleted")
                delivery_store.finish(connection, delivery, DeliveryStatus.CANCELED, outcome, now)
                return None
        created, data = delivery_store.data_of(connection, delivery.event)
    payload = body(delivery.kind, created, data, settings.public_url)
    if endpoint is not None:
        return Parcel(delivery, endpoint.url, endpoint.secrets(now), payload)
    secret = delivery.secret or tenant_secret(settings.signing_secret(), delivery.tenant)
    return Parcel(delivery, delivery.url or "", (secret,), payload)


def _send(parcel: Parcel, settings: ServiceSettings) -> tuple[Outcome, float | None]:
    """What came of one request, and for how long the receiver wants to be left alone."""
    headers = signed_headers(parcel.delivery.event, parcel.body, parcel.keys, time.time())
    begun = time.monotonic()
    try:
        answer = post(
            parcel.url,
            parcel.body,
            headers,
            timeout=settings.webhook_seconds,
            allow_private=settings.allow_private_urls,
        )
    except FetchError as error:
        return Outcome(None, round(time.monotonic() - begun, 3), error=str(error)), None
    outcome = Outcome(
        answer.status, round(answer.seconds, 3), answer.excerpt.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    )
    if 200 <= answer.status < 300:
        return outcome, None
    return replace(outcome, error=f"the receiver answered {answer.status}, not 2xx"), answer.retry_after


def _next_try(
    delivery: Delivery, outcome: Outcome, wait: float | None, settings: ServiceSettings, now: float
) -> float | None:
    """When to try again; None: never."""
    schedule = settings.webhook_schedule
    if outcome.code == GONE or delivery.attempts >= len(schedule):
        return None
    delay = schedule[delivery.attempts] * (1 + JITTER * random.random())  # noqa: S311  (nothing is secret)
    return now + max(delay, min(wait or 0.0, LONGEST_WAIT))


def _why_disabled(outcome: Outcome, failing: float, settings: ServiceSettings) -> str | None:
    """Why an endpoint is told nothing more, if so, now that an event was given up; it fails for so many seconds.

    An event that is still tried does not count: an endpoint that is seldom told of anything may have failed once,
    long ago, and be away for a moment now.
    """
    if outcome.code == GONE:
        return "the receiver answered 410 Gone"
    hours = failing / SECONDS_AN_HOUR
    if hours < settings.webhook_disable_hours:
        return None
    return f"nothing was taken for {hours:.0f} hours; the last try: {outcome.error}"
