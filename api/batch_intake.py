"""Reads the submission of a batch: what can be refused at once is, the manifest's rows are read later."""

import hashlib
import io
import time
from dataclasses import dataclass, replace
from typing import Any, Final

from flask import json
from sqlalchemy import Connection

from api.auth import current_key, tenant
from api.batch_schemas import BatchBody, BucketManifest, InlineManifest, UploadedManifest
from api.intake import plain
from api.problems import ProblemError
from api.services import services
from shared.backfill.manifest import Form, form_of
from shared.backfill.outputs import check_template
from shared.backfill.rows import BackfillError
from shared.batches import INLINE_CHARS, MAX_OPEN, Batch, BatchStatus
from shared.database import batch_store, job_store, request_store
from shared.errors import RestoreError
from shared.object_store import ObjectNotFound

_FORM_OF_TYPE: Final = {
    "application/x-ndjson": Form.JSONL,
    "application/jsonl": Form.JSONL,
    "text/csv": Form.CSV,
}
_UTF8_BYTES: Final = 4  # of a character, at most


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked submission; `inline` is the manifest's text where the request holds it."""

    batch: Batch
    fingerprint: str
    inline: str | None

    def commit(self, idempotency_key: str | None) -> Batch:
        """Store the manifest, if the request holds it, and the batch.

        Raises:
            ProblemError: `too_many_batches`, or the upload is gone.
        """
        made, batch = services(), self.batch
        with made.database.read() as connection:  # before anything is stored for it
            _check_room(connection, batch)
        if self.inline is not None and batch.manifest_key is not None:
            data = io.BytesIO(self.inline.encode())
            made.store.put(batch.manifest_key, data, "text/plain", INLINE_CHARS * _UTF8_BYTES)
        with made.database.begin(lock=batch.manifest_key) as connection:
            if batch.manifest_key is not None:
                try:
                    made.store.head(batch.manifest_key)
                except ObjectNotFound as error:
                    raise ProblemError("upload_expired", "the manifest's upload is gone: send it again") from error
            _check_room(connection, batch)
            batch_store.add(connection, batch)
            if idempotency_key is not None:
                request_store.settle(connection, batch.tenant, idempotency_key, self.fingerprint, batch.id)
        return batch


def _check_room(connection: Connection, batch: Batch) -> None:
    if batch_store.open_count(connection, batch.tenant) >= MAX_OPEN:
        raise ProblemError("too_many_batches", f"{MAX_OPEN} batches have not ended: wait for one, or cancel one first")


def submission(body: BatchBody) -> Submission:
    """The batch that is asked for.

    Raises:
        ProblemError, RestoreError: it cannot be run: its manifest, bucket, template or model is none.
    """
    said = body.model_dump(mode="json")
    fingerprint = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    now, made = time.time(), services()
    hours = body.retention_hours or made.settings.retention_hours
    batch = Batch(
        id=job_store.new_id(),
        tenant=tenant(),
        name=body.name,
        status=BatchStatus.VALIDATING,
        version=1,
        created=now,
        updated=now,
        model=made.submitter.model(body.model or made.settings.model).name,
        options=plain(body.options) or {},
        output=_output(body),
        metadata=body.metadata,
        webhook=plain(body.webhook),
        retention=hours * 3600,
        manifest_key=None,
        manifest_path=None,
        form=body.format,
        daily_quota=current_key().daily_quota,
    )
    manifest = body.manifest
    if isinstance(manifest, InlineManifest):
        guess = Form.JSONL if manifest.inline.lstrip("\ufeff \t\r\n").startswith("{") else Form.CSV
        batch = replace(batch, manifest_key=f"manifests/{batch.id}", form=body.format or guess.value)
        return Submission(batch, fingerprint, manifest.inline)
    if isinstance(manifest, UploadedManifest):
        key, form = _uploaded(manifest.upload, body.format)
        return Submission(replace(batch, manifest_key=key, form=form), fingerprint, None)
    return Submission(_in_bucket(batch, manifest), fingerprint, None)


def _output(body: BatchBody) -> dict[str, Any] | None:
    if body.output is None:
        return None
    prefix = body.output.prefix.removeprefix("s3://").rstrip("/")
    try:
        services().buckets.output(prefix)
        template = check_template(body.output.template)
    except (RestoreError, BackfillError) as error:
        raise ProblemError(error.code, str(error)) from error
    return {"prefix": prefix, "template": template, "overwrite": body.output.overwrite}


def _uploaded(upload_id: str, form: str | None) -> tuple[str, str]:
    """The upload's object and the manifest's form."""
    made = services()
    with made.database.read() as connection:
        upload = request_store.get_upload(connection, upload_id, tenant())
    if upload is None:
        raise ProblemError("upload_not_found", f"there is no upload {upload_id}: announce one with POST /v1/uploads")
    try:
        kind = made.store.head(upload.key).content_type
    except ObjectNotFound as error:
        raise ProblemError(
            "upload_not_received", f"upload {upload_id} has not arrived: send the manifest first"
        ) from error
    known = _FORM_OF_TYPE.get(kind)
    return upload.key, form or (known.value if known is not None else _by_name(upload.name or "the upload"))


def _in_bucket(batch: Batch, manifest: BucketManifest) -> Batch:
    path = manifest.s3
    services().buckets.source(path)
    if path.endswith("/"):
        if batch.form is not None:
            raise ProblemError(
                "unknown_manifest", f"{path}: a prefix has no format; leave it out, or name the manifest's object"
            )
        return replace(batch, manifest_path=path)
    return replace(batch, manifest_path=path, form=batch.form or _by_name(path))


def _by_name(name: str) -> str:
    try:
        return form_of(name).value
    except BackfillError as error:
        raise ProblemError(error.code, f"{error}, or say its `format`") from error
