"""API keys: 256 random bits, stored as a hash, shown once."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from shared.database.tables import api_keys

PREFIX: Final = "rgn"  # so that a leaked key is recognised by scanners


class Scope(StrEnum):
    """What a key may do."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    WEBHOOKS = "webhooks"
    BATCHES = "batches"
    AUDIT = "audit"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored; the key itself is nowhere."""

    id: str
    tenant: str
    name: str
    scopes: frozenset[Scope]
    created: float
    revoked: float | None
    daily_quota: int | None  # jobs a day; None = no limit


def create(
    connection: Connection, tenant: str, name: str, scopes: Sequence[Scope], daily_quota: int | None = None
) -> tuple[ApiKey, str]:
    """Store a new key and return it with the text that is shown once."""
    key_id = secrets.token_hex(8)
    key_text = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
    connection.execute(
        insert(api_keys).values(
            id=key_id,
            hash=_hash(key_text),
            tenant=tenant,
            name=name,
            scopes=[scope.value for scope in scopes],
            created=time.time(),
            daily_quota=daily_quota,
        )
    )
    found = get(connection, key_id)
    if found is None:
        raise LookupError(f"key {key_id} was not stored")
    return found, key_text


def authenticate(connection: Connection, key_text: str) -> ApiKey | None:
    """The key that this text is, unless it is unknown or revoked."""
    parts = key_text.split("_", 2)
    if len(parts) != 3 or parts[0] != PREFIX:
        return None
    row = connection.execute(select(api_keys).where(api_keys.c.id == parts[1])).one_or_none()
    if row is None or row.revoked is not None or not hmac.compare_digest(row.hash, _hash(key_text)):
        return None
    return _key_of(row)


def get(connection: Connection, key_id: str) -> ApiKey | None:
    """A key by its id."""
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
    return None if row is None else _key_of(row)


def every(connection: Connection) -> list[ApiKey]:
    """All keys, oldest first."""
    return [_key_of(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.created))]


def revoke(connection: Connection, key_id: str, now: float) -> bool:
    """End a key; False where there is no such key in force."""
    where = (api_keys.c.id == key_id) & api_keys.c.revoked.is_(None)
    return connection.execute(update(api_keys).where(where).values(revoked=now)).rowcount == 1


def _hash(key_text: str) -> str:
    return hashlib.sha256(key_text.encode()).hexdigest()


def _key_of(row: Row[Any]) -> ApiKey:
    scopes = frozenset(Scope(scope) for scope in row.scopes)
    return ApiKey(row.id, row.tenant, row.name, scopes, row.created, row.revoked, row.daily_quota)
