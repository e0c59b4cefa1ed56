"""What the service asks of an object store, and the values that pass between them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object, without its bytes. `modified` is aware, in UTC; `content_type` is empty in a listing."""

    key: str
    size: int  # bytes
    content_type: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """How a client sends one object straight to the store.

    POST: a multipart form, `fields` first and the bytes last, in a field named `file`. PUT: the bytes as the body,
    with `headers`.
    """

    method: str
    url: str
    fields: dict[str, str]
    headers: dict[str, str]
    expires: datetime


class ObjectStore(Protocol):
    """Whole objects under keys such as `uploads/<sha256>`.

    Every method that takes a key raises StoreError `bad_key` for a key that is not one, and StoreUnavailable when
    the store cannot answer. Nothing here is conditional on what a key held before: several servers that speak S3
    ignore `If-None-Match`, so keys are content-addressed and a second write writes the same bytes.
    """

    def put(self, key: str, stream: BinaryIO, content_type: str, limit: int) -> ObjectInfo:
        """Store what the stream still holds: whole, or not at all.

        Raises:
            ObjectTooLarge: the stream holds more than `limit` bytes.
        """

    def get(self, key: str) -> bytes:
        """Every byte of an object.

        Raises:
            ObjectNotFound: no object has this key.
        """

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Read an object as a stream; it may not be seekable.

        Raises:
            ObjectNotFound: no object has this key.
        """

    def head(self, key: str) -> ObjectInfo:
        """Size, type and time of an object.

        Raises:
            ObjectNotFound: no object has this key.
        """

    def copy(self, source: str, target: str) -> None:
        """Copy bytes and content type inside the store.

        Raises:
            ObjectNotFound: no object has the key `source`.
        """

    def delete(self, key: str) -> None:
        """Delete an object; a key without one is no error."""

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, a page at a time; S3 promises the order of their bytes.

        With `after` only keys behind it in that order, so that a listing can be taken up again.

        A listing does not know content types: `content_type` is empty. What was listed may be deleted meanwhile.
        """

    def url(self, key: str, expires: timedelta, filename: str | None = None) -> str:
        """A signed link to GET an object, saved under `filename` if one is given; the object need not exist yet."""

    def upload_target(self, key: str, content_type: str, limit: int, expires: timedelta) -> UploadTarget:
        """A signed permission to store one object of this type, of at most `limit` bytes."""

    def check(self) -> None:
        """Answer readiness probes.

        Raises:
            StoreUnavailable: objects cannot be stored now; the text says why.
        """
