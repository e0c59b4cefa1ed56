"""Where a photo can come from, apart from the request itself: a direct upload, a URL, an object of a bucket."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, cast

from shared.buckets import Buckets
from shared.database import Database, request_store
from shared.errors import RestoreError
from shared.fetch import FetchError, fetch
from shared.imaging.limits import MAX_BYTES
from shared.object_store import ObjectNotFound, ObjectStore
from shared.outbound import check_url
from shared.settings import ServiceSettings

SPOOL_BYTES: Final = 4 << 20  # a photo longer than this waits in a temporary file
NAME_CHARS: Final = 255  # of what a photo is called
_BUCKET_FORM: Final = re.compile(r"[a-z0-9.-]{3,63}/[^\x00-\x1f\x7f]+")
_UPLOAD_FORM: Final = re.compile(r"upload:([0-9a-f]{32})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BLOCKED: Final = ("bad_url", "blocked_address", "redirected")
_TOO_LARGE: Final = "the file is larger than 64 MiB; export it smaller"


@dataclass(frozen=True, slots=True)
class UploadRef:
    """A direct upload, by its id."""

    id: str


@dataclass(frozen=True, slots=True)
class UrlRef:
    """A photo on the web."""

    url: str


@dataclass(frozen=True, slots=True)
class BucketRef:
    """`bucket/key` on the S3 server of the settings."""

    path: str


Ref = UploadRef | UrlRef | BucketRef


def parse_ref(text: str) -> Ref:
    """What a manifest's row names: `https://…`, `s3://bucket/key`, `bucket/key` or `upload:<id>`.

    Raises:
        RestoreError: `bad_source`.
    """
    if text.startswith(("https://", "http://")):
        try:
            check_url(text)
        except FetchError as error:
            raise RestoreError("bad_source", str(error)) from error
        return UrlRef(text)
    if upload := _UPLOAD_FORM.fullmatch(text):
        return UploadRef(upload[1])
    path = text.removeprefix("s3://")
    if not _BUCKET_FORM.fullmatch(path):
        raise RestoreError(
            "bad_source", f"{text[:80]!r} names no photo: write https://…, s3://bucket/key or upload:<id>"
        )
    return BucketRef(path)


def name_of(ref: Ref) -> str | None:
    """What a photo is called where it is."""
    if isinstance(ref, UrlRef):
        return file_name(re.split(r"[?#]", ref.url)[0].partition("://")[2].partition("/")[2])
    return file_name(ref.path) if isinstance(ref, BucketRef) else None


def file_name(given: str | None) -> str | None:
    """The last part of a path, of either kind, without what no name should hold."""
    name = _CONTROL.sub("", PurePosixPath((given or "").replace("\\", "/")).name)
    name = name.encode("utf-8", "replace").decode()[:NAME_CHARS]
    return name or None


class Sources:
    """Opens what a job names as its source; one in each process."""

    def __init__(self, settings: ServiceSettings, database: Database, store: ObjectStore) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._buckets = Buckets(settings)

    @contextmanager
    def open(self, ref: Ref, tenant: str) -> Iterator[BinaryIO]:
        """The photo as a seekable stream, at most one byte longer than a photo may be.

        Raises:
            RestoreError: the source is not there, not allowed, or did not answer; the code says which.
            StoreError, DatabaseUnavailableError: our own side.
        """
        if isinstance(ref, UrlRef):
            with self._fetched(ref.url) as stream:
                yield stream
            return
        if isinstance(ref, UploadRef):
            store, key = self._store, self._upload_key(ref.id, tenant)
            missing = RestoreError(
                "upload_not_received", f"upload {ref.id} has not arrived: send the photo first, to the address given"
            )
        else:
            store, key = self._buckets.source(ref.path)
            missing = RestoreError("source_not_found", f"there is no object {ref.path!r}: correct bucket and key")
        with SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            stream = cast(BinaryIO, spool)
            try:
                if store.head(key).size > MAX_BYTES:
                    raise RestoreError("too_many_bytes", _TOO_LARGE)
                with store.open(key) as source:
                    shutil.copyfileobj(source, stream)
            except ObjectNotFound as error:
                raise missing from error
            stream.seek(0)
            yield stream

    def _upload_key(self, upload_id: str, tenant: str) -> str:
        with self._database.read() as connection:
            upload = request_store.get_upload(connection, upload_id, tenant)
        if upload is None:
            raise RestoreError(
                "upload_not_found", f"there is no upload {upload_id}: announce one with POST /v1/uploads"
            )
        if upload.expires < time.time():
            raise RestoreError("upload_expired", f"the time of upload {upload_id} is over: announce another")
        return upload.key

    @contextmanager
    def _fetched(self, url: str) -> Iterator[BinaryIO]:
        try:
            download = fetch(url, MAX_BYTES, allow_private=self._settings.allow_private_urls)
        except FetchError as error:
            if error.code == "too_large":
                raise RestoreError("too_many_bytes", _TOO_LARGE) from error
            code = "url_not_allowed" if error.code in _BLOCKED else "url_failed"
            raise RestoreError(code, str(error), retryable=error.retryable) from error
        with download.stream:
            yield download.stream
