"""Where photos and results are kept: a folder or a bucket, behind one interface."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shared.object_store.errors import ObjectNotFound, ObjectTooLarge, StoreError, StoreUnavailable
from shared.object_store.filesystem import FileSystemStore
from shared.object_store.keys import attachment, check_key
from shared.object_store.links import LinkTerms
from shared.object_store.protocol import ObjectInfo, ObjectStore, UploadTarget
from shared.object_store.s3 import S3Store
from shared.object_store.streams import hashed, joined

__all__ = [
    "FileSystemStore",
    "LinkTerms",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectStore",
    "ObjectTooLarge",
    "S3Store",
    "StoreError",
    "StoreSettings",
    "StoreUnavailable",
    "UploadTarget",
    "attachment",
    "check_key",
    "hashed",
    "joined",
    "make_store",
]


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Which store, and what it needs: `filesystem` root, base_url and secret; `s3` the rest."""

    kind: Literal["filesystem", "s3"]
    root: Path | None = None
    base_url: str = ""  # of our API, without a path; signed links start with it
    secret: bytes = field(default=b"", repr=False)
    bucket: str = ""
    endpoint: str | None = None  # AWS if unset
    region: str = "us-east-1"
    access_key: str | None = None  # both keys unset: the machine's own role
    secret_key: str | None = field(default=None, repr=False)
    path_style: bool = True
    sse: str | None = None  # AES256 or aws:kms
    public_endpoint: str | None = None  # what browsers reach; `endpoint` if unset


def make_store(settings: StoreSettings) -> ObjectStore:
    """The store that the settings name. Nothing is connected yet.

    Raises:
        ValueError: a setting that this kind needs is missing.
        StoreUnavailable: the folder cannot be made.
    """
    if settings.kind == "filesystem":
        if settings.root is None:
            raise ValueError("a file-system store needs the folder to keep objects in: set its root")
        return FileSystemStore(settings.root, settings.base_url, settings.secret)
    if not settings.bucket:
        raise ValueError("an S3 store needs a bucket: set its name")
    return S3Store(
        settings.bucket,
        settings.endpoint,
        settings.region,
        settings.access_key,
        settings.secret_key,
        path_style=settings.path_style,
        sse=settings.sse,
        public_endpoint=settings.public_endpoint,
    )
