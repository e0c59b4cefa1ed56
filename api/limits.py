"""How much one key may ask: requests a minute in the broker's Redis, jobs a day in SQL."""

import time
from collections.abc import Callable
from typing import Any, Final

from flask import Flask, Response, g, request
from flask_limiter import Limiter, RateLimitExceeded
from flask_limiter.util import get_remote_address

from api import auth
from api.problems import ProblemError, answer
from api.services import services
from shared.database import job_store
from shared.settings import ServiceSettings

VIEWS: Final = "60/minute"  # of the page, from one address
DAY: Final = 86400.0  # seconds; days are UTC
TIMEOUT: Final = 1  # seconds: a request must not wait for a counter
# Whoever waits for a job or a batch may ask as often as it likes; links carry their own terms.
UNCOUNTED: Final = (auth.OPEN - {"beacons.count_view"}) | {
    "jobs.show",
    "batches.show",
    "events.stream_events",
    "metrics.metrics",
}


def register(app: Flask, settings: ServiceSettings) -> Callable[[], None]:
    """Count requests by key; where Redis is away, each process counts for itself.

    Returns what is to be called once every endpoint is there.
    """
    options: dict[str, str | int] = {}
    if settings.redis_url:
        options = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    limiter = Limiter(
        _who,
        application_limits=[settings.rate_limit],
        storage_uri=settings.redis_url or "memory://",
        storage_options=options,
        key_prefix="regain:limits",
        in_memory_fallback_enabled=True,
        swallow_errors=True,
    )
    # A filter ends the question at once; an exemption of the limit would cost a poll a tenth of its time.
    limiter.request_filter(_uncounted)
    limiter.init_app(app)

    @app.errorhandler(RateLimitExceeded)
    def exceeded(error: RateLimitExceeded) -> Response:
        current = limiter.current_limit
        # The library rounds the end of the window up: never ask for longer than the window itself.
        window = error.limit.limit.get_expiry()
        wait = None if current is None else min(current.reset_at - time.time(), window)
        return answer(
            ProblemError("rate_limited", f"more than {error.description} {_of_whom()}: slow down", retry_after=wait)
        )

    def bound_views() -> None:
        counted: Any = app.view_functions["beacons.count_view"]
        app.view_functions["beacons.count_view"] = limiter.limit(VIEWS, key_func=get_remote_address)(counted)

    return bound_views


def check_quota() -> None:
    """Refuse a job beyond the key's quota of the day.

    Raises:
        ProblemError: `quota_exceeded`.
    """
    key, now = auth.current_key(), time.time()
    if key.daily_quota is None:
        return
    midnight = now - now % DAY
    with services().database.read() as connection:
        used = job_store.submitted_since(connection, key.tenant, midnight)
    if used >= key.daily_quota:
        raise ProblemError(
            "quota_exceeded",
            f"all {key.daily_quota} jobs of the day (UTC) are used: come back tomorrow, or ask for more",
            retry_after=midnight + DAY - now,
        )


def _who() -> str:
    key = g.get("key")
    return get_remote_address() if key is None else str(key.id)


def _of_whom() -> str:
    return "from this address" if g.get("key") is None else "with this key"


def _uncounted() -> bool:
    return request.endpoint is None or request.endpoint in UNCOUNTED
