"""Whether the process lives, and whether the service can do its work."""

import time
from collections.abc import Callable
from typing import Final

from flask import Response, jsonify

from api import contract
from api.answers import HealthView, ReadyView
from api.services import Services, services
from shared.broker import BrokerUnavailableError
from shared.database import DatabaseUnavailableError, watch
from shared.database.schema import is_current
from shared.object_store import StoreError

WORKER_SILENCE: Final = 60.0  # seconds after which the youngest worker counts as gone

health = contract.group("health", "", key=False)


@health.get("/healthz", responses={"200": HealthView})
def healthz() -> Response:
    """Say that the process answers."""
    return jsonify({"status": "ok"})


@health.get("/readyz", responses={"200": ReadyView, "503": ReadyView})
def readyz() -> Response:
    """Say of every part whether it works: 503 if one does not."""
    parts: dict[str, Callable[[Services], str | None]] = {
        "database": _database,
        "schema": _schema,
        "broker": _broker,
        "store": _store,
        "worker": _worker,
    }
    faults = {name: check(services()) for name, check in parts.items()}
    ready = not any(faults.values())
    response = jsonify(
        {
            "status": "ready" if ready else "not ready",
            "checks": {name: {"ok": fault is None, "detail": fault} for name, fault in faults.items()},
        }
    )
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return response


def _database(made: Services) -> str | None:
    try:
        made.database.check()
    except DatabaseUnavailableError as error:
        return str(error)
    return None


def _schema(made: Services) -> str | None:
    try:
        return None if is_current(made.database) else "the database is not at this version's schema: migrate it"
    except DatabaseUnavailableError:
        return "unknown: the database does not answer"


def _broker(made: Services) -> str | None:
    if made.publisher is None:
        return "no broker is named: set REDIS_URL"
    try:
        made.publisher.check()
    except BrokerUnavailableError as error:
        return str(error)
    return None


def _store(made: Services) -> str | None:
    try:
        made.store.check()
    except StoreError as error:
        return str(error)
    return None


def _worker(made: Services) -> str | None:
    try:
        with made.database.read() as connection:
            seen = watch.youngest_sign(connection)
    except DatabaseUnavailableError:
        return "unknown: the database does not answer"
    except Exception as error:  # noqa: BLE001  (a schema that is not there yet)
        return f"unknown: {type(error).__name__}"
    if seen is None:
        return "no worker has been seen yet"
    age = time.time() - seen
    return None if age < WORKER_SILENCE else f"the youngest sign of a worker is {age:.0f} s old"
