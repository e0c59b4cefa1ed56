"""From a photo to a job: check, hash, store, then one commit; the API and batches go the same way.

The commit is made under the locks of every object that the job needs, and only while they are there: whoever
deletes objects holds the same locks, so no accepted job is without its photo.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import Any, BinaryIO, Final

from sqlalchemy import Connection

from shared.broker import BrokerUnavailableError, Publisher
from shared.database import Database, DatabaseUnavailableError, job_store, request_store
from shared.database.counting import count
from shared.errors import RestoreError
from shared.imaging.limits import MAX_BYTES
from shared.inspection import look_at
from shared.jobs import Job, JobStatus, Queue
from shared.object_store import ObjectNotFound, ObjectStore, StoreUnavailable
from shared.options import Options
from shared.registry import Model, ModelError, find_model
from shared.settings import ServiceSettings

RESULT_VERSION: Final = 2  # raised when the same photo, model and options come to give other bytes
TRIES: Final = 4  # somebody may delete the photo between our look and our commit, but not for ever
MODEL_REMEMBERED: Final = 5.0  # seconds until a newly installed or chosen model is seen
SECONDS_AN_HOUR: Final = 3600.0
_DEFAULTS: Final = frozenset((option.name, option.default) for option in fields(Options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for beside the photo itself."""

    tenant: str
    options: Mapping[str, Any] = field(default_factory=dict)  # only what differs from the defaults need be there
    model: str | None = None  # the service's own, where unset
    metadata: Mapping[str, Any] | None = None
    webhook: Mapping[str, Any] | None = None
    retention: float | None = None  # seconds; the service's own, where unset
    queue: Queue = Queue.INTERACTIVE
    batch: str | None = None
    source_name: str | None = None
    idempotency_key: str | None = None  # already reserved by the caller


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that a submission came to; `deduplicated`: no new work was needed."""

    job: Job
    deduplicated: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked submission before anything is stored."""

    wish: Wish
    model: str
    source_key: str
    source_type: str
    original_key: str | None
    original_type: str | None
    result_key: str
    fingerprint: str

    @property
    def keys(self) -> list[str]:
        """Every object that the job needs or makes."""
        return [key for key in (self.source_key, self.original_key, self.result_key) if key is not None]


class Submitter:
    """Makes jobs; one in each process."""

    def __init__(
        self, settings: ServiceSettings, database: Database, store: ObjectStore, publisher: Publisher | None
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._publisher = publisher
        self._models: dict[str | None, tuple[float, Model]] = {}

    def draft(self, source: BinaryIO, original: BinaryIO | None, wish: Wish) -> Draft:
        """Check a photo and say what its job would be; both streams are seekable and left at their start.

        Raises:
            RestoreError: the photo cannot be used, or the model is not known; the code says why.
        """
        model = self.model(wish.model or self._settings.model)
        source_hash, source_type = look_at(source, "photo")
        inputs, original_key, original_type = source_hash, None, None
        if original is not None:
            original_hash, original_type = look_at(original, "original")
            original_key = f"uploads/{original_hash}"
            inputs = _digest([source_hash, original_hash])
        options = {name: value for name, value in wish.options.items() if value is not None}
        wish = replace(wish, options=options, retention=self._retention(wish))
        result_key = f"results/{inputs}/{self._parameters(model, options)}.jpg"
        asked = [result_key, wish.metadata, wish.webhook, wish.source_name, wish.retention, wish.batch]
        return Draft(
            wish=wish,
            model=model.name,
            source_key=f"uploads/{source_hash}",
            source_type=source_type,
            original_key=original_key,
            original_type=original_type,
            result_key=result_key,
            fingerprint=_digest(asked),
        )

    def submit(self, source: BinaryIO, original: BinaryIO | None, wish: Wish) -> Submitted:
        """`draft` and `commit` in one.

        Raises:
            RestoreError: the photo cannot be used, or the model is not known; nothing was stored.
            StoreError, DatabaseUnavailableError: not accepted; the same call may be made again.
        """
        return self.commit(self.draft(source, original, wish), source, original)

    def commit(
        self,
        draft: Draft,
        source: BinaryIO,
        original: BinaryIO | None,
        then: Callable[[Connection, Job], None] | None = None,
    ) -> Submitted:
        """Store what is not stored, commit the job, and tell the broker.

        `then` does its part of the same transaction; what it raises undoes all of it.

        Raises:
            StoreError, DatabaseUnavailableError: not accepted; the same call may be made again.
        """
        wish = draft.wish
        for _ in range(TRIES):
            self._keep(draft.source_key, draft.source_type, source)
            if draft.original_key is not None and original is not None:
                self._keep(draft.original_key, draft.original_type or "", original)
            with self._database.begin(also=draft.keys) as connection:
                submitted = self._insert(connection, draft)
                if submitted is not None:
                    if wish.idempotency_key is not None:
                        request_store.settle(
                            connection, wish.tenant, wish.idempotency_key, draft.fingerprint, submitted.job.id
                        )
                    if then is not None:
                        then(connection, submitted.job)
                    break
        else:
            raise StoreUnavailable("the photo is deleted as fast as it is stored: try again later")
        if not submitted.deduplicated:
            self.announce(submitted.job)
        return submitted

    def announce(self, job: Job) -> None:
        """Publish a committed job at once; where that fails the dispatcher does it from the outbox."""
        if self._publisher is None:
            return
        with suppress(BrokerUnavailableError, DatabaseUnavailableError):
            self._publisher.publish(job.id, job.queue)
            # Undone by a power cut, it would be published twice, which a claim forgives.
            with self._database.begin(lasting=False) as connection:
                job_store.mark_published(connection, [job.id], time.time())

    def _insert(self, connection: Connection, draft: Draft) -> Submitted | None:
        """The job's row; None: an object is missing, or the same submission came in this moment."""
        live = job_store.find_live(connection, draft.wish.tenant, draft.fingerprint)
        if live is not None:
            return Submitted(live, deduplicated=True)
        if not all(self._has(key) for key in (draft.source_key, draft.original_key) if key is not None):
            return None
        now = time.time()
        job = _new_job(draft, now)
        twin = job_store.find_result(connection, draft.result_key, draft.wish.tenant)
        if twin is not None and self._has(draft.result_key):
            job = _already_done(job, twin, now)
        if not job_store.add(connection, job, draft.fingerprint):
            return None
        if job.is_final:
            count(connection, "finished", job.status.value)
        return Submitted(job, deduplicated=job.is_final)

    def _has(self, key: str) -> bool:
        try:
            self._store.head(key)
        except ObjectNotFound:
            return False
        return True

    def _keep(self, key: str, content_type: str, stream: BinaryIO) -> None:
        if not self._has(key):
            stream.seek(0)
            self._store.put(key, stream, content_type, MAX_BYTES)

    def _retention(self, wish: Wish) -> float:
        hours = self._settings.retention_hours
        return wish.retention if wish.retention is not None else hours * SECONDS_AN_HOUR

    def model(self, name: str | None) -> Model:
        """A model by name; the manifests are read again after MODEL_REMEMBERED seconds.

        Raises:
            RestoreError: there is no such model.
        """
        until, model = self._models.get(name, (0.0, None))
        if model is None or time.monotonic() > until:
            try:
                model = find_model(name, self._settings.models_dir)
            except ModelError as error:
                raise RestoreError(error.code, str(error)) from error
            self._models[name] = (time.monotonic() + MODEL_REMEMBERED, model)
        return model

    def _parameters(self, model: Model, options: Mapping[str, Any]) -> str:
        """Everything beside the photo that decides the result's bytes; to ask for a default is not to ask."""
        files = sorted((role, file.sha256) for role, file in model.files.items())
        chosen = {name: value for name, value in options.items() if (name, value) not in _DEFAULTS}
        settings = self._settings
        return _digest([RESULT_VERSION, model.name, files, settings.network_long_side, settings.backend.value, chosen])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _new_job(draft: Draft, now: float) -> Job:
    wish = draft.wish
    return Job(
        id=job_store.new_id(),
        tenant=wish.tenant,
        status=JobStatus.QUEUED,
        queue=wish.queue,
        created=now,
        updated=now,
        version=1,
        source_key=draft.source_key,
        source_name=wish.source_name,
        original_key=draft.original_key,
        result_key=draft.result_key,
        model=draft.model,
        options=dict(wish.options),
        metadata=wish.metadata,
        webhook=wish.webhook,
        batch=wish.batch,
        retention=wish.retention,
    )


def _already_done(job: Job, twin: Job, now: float) -> Job:
    """The same photo, model and options were done before: what was stored then is the answer."""
    return replace(
        job,
        status=JobStatus.SUCCEEDED,
        percent=100,
        started=now,
        finished=now,
        expires=None if job.retention is None else now + job.retention,
        deduplicated=True,
        result=twin.result,
    )
