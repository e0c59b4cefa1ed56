"""Idempotency-Key: the same request twice is one job, a different one under the same key is refused."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from api.auth import tenant
from api.problems import ProblemError
from api.services import services
from shared.batches import Batch
from shared.database import DatabaseUnavailableError, batch_store, job_store, request_store
from shared.database.request_store import Reservation
from shared.submission import Submitted

MAX_LENGTH: Final = 255  # characters
IN_FLIGHT_RETRY: Final = 1  # seconds


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The key of a request that may go on; `known`: what it stands for already. `text` is None without a key."""

    text: str | None
    known: Reservation | None

    def stored(self, fingerprint: str) -> Submitted | None:
        """The job that an earlier request with this key made; None: this one has to make it.

        Raises:
            ProblemError: it was another request's key, or its job is deleted.
        """
        job_id = self._stands_for(fingerprint)
        if job_id is None:
            return None
        with services().database.read() as connection:
            job = job_store.get(connection, job_id, tenant())
        if job is None:
            raise _deleted("job")
        return Submitted(job, deduplicated=job.deduplicated)

    def stored_batch(self, fingerprint: str) -> Batch | None:
        """The batch that an earlier request with this key made; None: this one has to make it.

        Raises:
            ProblemError: it was another request's key, or its batch is deleted.
        """
        batch_id = self._stands_for(fingerprint)
        if batch_id is None:
            return None
        with services().database.read() as connection:
            batch = batch_store.get(connection, batch_id, tenant())
        if batch is None:
            raise _deleted("batch")
        return batch

    def _stands_for(self, fingerprint: str) -> str | None:
        if self.known is None or self.known.job is None:
            return None
        if self.known.fingerprint != fingerprint:
            raise ProblemError(
                "idempotency_mismatch", "Idempotency-Key: it came with another request before; take a new key"
            )
        return self.known.job


@contextmanager
def reserved(text: str | None) -> Iterator[IdempotencyKey]:
    """Hold a key while its request is under way; a request that fails gives it back.

    Raises:
        ProblemError: the key is not usable, or its first request is still under way.
    """
    if text is None:
        yield IdempotencyKey(None, None)
        return
    if not 1 <= len(text) <= MAX_LENGTH or not text.isascii() or not text.isprintable():
        raise ProblemError("bad_idempotency_key", f"Idempotency-Key: give 1 to {MAX_LENGTH} printable ASCII characters")
    owner, database = tenant(), services().database
    with database.begin() as connection:
        known = request_store.reserve(connection, owner, text, time.time())
    if known is not None and known.job is None:
        raise ProblemError(
            "idempotency_in_flight",
            "Idempotency-Key: its first request is under way; ask again in a moment",
            retry_after=IN_FLIGHT_RETRY,
        )
    try:
        yield IdempotencyKey(text, known)
    except BaseException:
        if known is None:
            with suppress(DatabaseUnavailableError), database.begin() as connection:
                request_store.release(connection, owner, text)
        raise


def _deleted(what: str) -> ProblemError:
    return ProblemError("gone", f"the {what} of this Idempotency-Key was deleted: take a new key to submit again")
