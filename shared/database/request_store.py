"""What a request leaves beside jobs: idempotency reservations and announced uploads."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from shared.database.tables import idempotency, uploads

KEPT: Final = 24 * 3600.0  # seconds that an Idempotency-Key is remembered
ABANDONED: Final = 120.0  # seconds after which a reservation whose request died may be taken over
_UPLOAD: Final = select(uploads).where(uploads.c.id == bindparam("id"), uploads.c.tenant == bindparam("tenant"))


@dataclass(frozen=True, slots=True)
class Reservation:
    """An Idempotency-Key that was seen before; no job yet: its request is still under way."""

    fingerprint: str | None
    job: str | None  # or the batch


@dataclass(frozen=True, slots=True)
class Upload:
    """A direct upload that was announced; its object may or may not have arrived."""

    id: str
    tenant: str
    key: str
    name: str | None
    expires: float


def reserve(connection: Connection, tenant: str, key: str, now: float) -> Reservation | None:
    """Take an Idempotency-Key; None: it is ours, else what it stands for already."""
    old = (idempotency.c.created < now - KEPT) | (
        idempotency.c.job.is_(None) & (idempotency.c.created < now - ABANDONED)
    )
    connection.execute(delete(idempotency).where(_is(tenant, key), old))
    try:
        with connection.begin_nested():
            connection.execute(insert(idempotency).values(tenant=tenant, key=key, created=now))
    except IntegrityError:
        row = connection.execute(select(idempotency).where(_is(tenant, key))).one()
        return Reservation(row.fingerprint, row.job)
    return None


def settle(connection: Connection, tenant: str, key: str, fingerprint: str, job: str) -> None:
    """Write down what the key stands for, in the transaction that makes the job or batch."""
    connection.execute(update(idempotency).where(_is(tenant, key)).values(fingerprint=fingerprint, job=job))


def release(connection: Connection, tenant: str, key: str) -> None:
    """Give a key back: its request was refused, and nothing came of it."""
    connection.execute(delete(idempotency).where(_is(tenant, key), idempotency.c.job.is_(None)))


def add_upload(connection: Connection, upload: Upload) -> None:
    """Remember a direct upload."""
    connection.execute(
        insert(uploads).values(
            id=upload.id, tenant=upload.tenant, key=upload.key, name=upload.name, expires=upload.expires
        )
    )


def get_upload(connection: Connection, upload_id: str, tenant: str) -> Upload | None:
    """A tenant's upload."""
    row = connection.execute(_UPLOAD, {"id": upload_id, "tenant": tenant}).one_or_none()
    return None if row is None else Upload(row.id, row.tenant, row.key, row.name, row.expires)


def purge(connection: Connection, now: float) -> list[str]:
    """Drop what is past its time; the keys of the objects that expired uploads may have left."""
    connection.execute(delete(idempotency).where(idempotency.c.created < now - KEPT))
    keys = list(connection.execute(select(uploads.c.key).where(uploads.c.expires < now)).scalars())
    connection.execute(delete(uploads).where(uploads.c.expires < now))
    return keys


def _is(tenant: str, key: str) -> ColumnElement[bool]:
    return (idempotency.c.tenant == tenant) & (idempotency.c.key == key)
