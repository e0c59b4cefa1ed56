"""Who asks, and what they may do: Bearer keys, verified against SQL and remembered for a moment."""

import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flask import Flask, g, request

from api.problems import ProblemError
from api.services import services
from shared.database import key_store
from shared.database.key_store import ApiKey, Scope

REMEMBERED: Final = 5.0  # seconds that a verified key is taken as good; so long a revoked one may still work
MAX_REMEMBERED: Final = 10_000  # keys

# What each endpoint asks for. One that is in neither table is refused, so that none is open by mistake.
SCOPES: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        "jobs.create": Scope.JOBS_WRITE,
        "jobs.show": Scope.JOBS_READ,
        "jobs.list_jobs": Scope.JOBS_READ,
        "jobs.cancel": Scope.JOBS_WRITE,
        "jobs.retry": Scope.JOBS_WRITE,
        "jobs.delete": Scope.JOBS_WRITE,
        "results.result": Scope.JOBS_READ,
        "results.base": Scope.JOBS_READ,
        "results.gainmap": Scope.JOBS_READ,
        "results.mask": Scope.JOBS_READ,
        "results.metadata": Scope.JOBS_READ,
        "events.stream_events": Scope.JOBS_READ,
        "uploads.create_upload": Scope.JOBS_WRITE,
        "batches.create": Scope.BATCHES,
        "batches.show": Scope.JOBS_READ,
        "batches.list_batches": Scope.JOBS_READ,
        "batches.list_rows": Scope.JOBS_READ,
        "batches.pause": Scope.BATCHES,
        "batches.resume": Scope.BATCHES,
        "batches.cancel": Scope.BATCHES,
        "batches.rerun": Scope.BATCHES,
        "batches.report": Scope.JOBS_READ,
        "batches.summary": Scope.JOBS_READ,
        "batches.delete": Scope.BATCHES,
        "audit.audit_file": Scope.AUDIT,
        "metrics.metrics": Scope.METRICS,
        "insights.hdr": Scope.METRICS,
        "webhooks.create": Scope.WEBHOOKS,
        "webhooks.list_webhooks": Scope.WEBHOOKS,
        "webhooks.secret": Scope.WEBHOOKS,
        "webhooks.show": Scope.WEBHOOKS,
        "webhooks.update": Scope.WEBHOOKS,
        "webhooks.delete": Scope.WEBHOOKS,
        "webhooks.rotate": Scope.WEBHOOKS,
        "webhooks.test": Scope.WEBHOOKS,
        "webhooks.list_deliveries": Scope.WEBHOOKS,
        "webhooks.redeliver": Scope.WEBHOOKS,
        "webhooks.redeliver_since": Scope.WEBHOOKS,
    }
)
OPEN: Final = frozenset(
    {
        "health.healthz",
        "health.readyz",
        "documents.docs",
        "documents.problem_table",
        "documents.openapi",
        # A page that is opened has no key.
        "beacons.count_view",
        # Their signature is the key.
        "objects.get_object",
        "objects.put_object",
    }
)


class KeyCache:
    """Keys that were verified a moment ago, by their text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, ApiKey]] = {}

    def find(self, text: str) -> ApiKey | None:
        """A key that was verified within the last REMEMBERED seconds."""
        with self._lock:
            until, key = self._known.get(text, (0.0, None))
        return key if time.monotonic() < until else None

    def keep(self, text: str, key: ApiKey) -> None:
        """Remember a key that was just verified."""
        with self._lock:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[text] = (time.monotonic() + REMEMBERED, key)


def register(app: Flask) -> None:
    """Ask every request for its key, before anything of it is read."""
    cache = KeyCache()

    @app.before_request
    def check() -> None:
        endpoint = request.endpoint
        if endpoint is None or endpoint in OPEN:
            return
        key = _key(cache)
        scope = SCOPES.get(endpoint)
        if scope is None or scope not in key.scopes:
            wanted = endpoint if scope is None else scope.value
            raise ProblemError("missing_scope", f"this key has no scope {wanted}: use another key")
        g.key = key


def tenant() -> str:
    """Whose request this is."""
    return current_key().tenant


def current_key() -> ApiKey:
    """The key of this request."""
    key: ApiKey = g.key
    return key


def _key(cache: KeyCache) -> ApiKey:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise ProblemError("no_key", "no API key: send it as `Authorization: Bearer rgn_...`")
    key = cache.find(text)
    if key is None:
        with services().database.read() as connection:
            key = key_store.authenticate(connection, text)
        if key is None:
            raise ProblemError("bad_key", "the API key is unknown or revoked: ask for another")
        cache.keep(text, key)
    return key
