"""An object store in a folder: for one machine, and for tests.

    <root>/objects/uploads/<name>+data    the bytes
    <root>/objects/uploads/<name>+meta    their content type, as JSON
    <root>/temporary/                     what is being written
    <root>/lock                           held while the two files of a key change

Names are percent-encoded, so "+" never stands in one, and a key may also be the folder of other keys.
"""

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

from shared.object_store.errors import ObjectNotFound, StoreError, StoreUnavailable
from shared.object_store.files import removed_empty, sync_folder, translated
from shared.object_store.keys import check_content_type, check_key, expiry
from shared.object_store.links import LinkSigner, LinkTerms
from shared.object_store.protocol import ObjectInfo, UploadTarget
from shared.object_store.streams import blocks

MAX_NAME_BYTES = 240  # bytes of one percent-encoded name: file systems end at 255
STALE_TEMPORARY_SECONDS = 24 * 3600  # no upload takes a day: its process died
DEFAULT_CONTENT_TYPE = "application/octet-stream"
_DATA, _META = "+data", "+meta"


class FileSystemStore:
    """Objects as files: temporary file, fsync, rename. Several processes of one machine may share a root."""

    def __init__(self, root: Path, base_url: str, secret: bytes) -> None:
        self._root = root
        self._objects = root / "objects"
        self._temporary = root / "temporary"
        self._signer = LinkSigner(base_url, secret)
        with translated(str(root)):
            self._objects.mkdir(parents=True, exist_ok=True)
            self._temporary.mkdir(exist_ok=True)
            self._drop_stale_temporaries()

    def put(self, key: str, stream: BinaryIO, content_type: str, limit: int) -> ObjectInfo:
        """Store what the stream still holds: whole, or not at all.

        Raises:
            ObjectTooLarge: the stream holds more than `limit` bytes.
        """
        path = self._path(key)
        check_content_type(content_type)
        with self._written() as file:
            for block in blocks(stream, limit):
                with translated(key):
                    file.write(block)
            self._commit(file, path, key, content_type)
            return _info(key, os.fstat(file.fileno()), content_type)  # of these bytes, whoever came next

    def get(self, key: str) -> bytes:
        """Every byte of an object."""
        with self.open(key) as stream, translated(key):
            return stream.read()

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Read an object as a stream."""
        path = self._path(key)
        with translated(key):
            stream = (path.parent / (path.name + _DATA)).open("rb")
        with stream:
            yield stream

    def head(self, key: str) -> ObjectInfo:
        """Size, type and time of an object."""
        path = self._path(key)
        with translated(key):
            found = (path.parent / (path.name + _DATA)).stat()
        return _info(key, found, _content_type(path))

    def copy(self, source: str, target: str) -> None:
        """Copy bytes and content type inside the store."""
        path = self._path(target)
        content_type = self.head(source).content_type
        if source == target:
            return
        with self.open(source) as stream, self._written() as file:
            with translated(target):
                shutil.copyfileobj(stream, file)
            self._commit(file, path, target, content_type)

    def delete(self, key: str) -> None:
        """Delete an object and the folders that it leaves empty; a key without one is no error."""
        path = self._path(key)
        with translated(key), self._locked():
            for suffix in (_DATA, _META):
                (path.parent / (path.name + suffix)).unlink(missing_ok=True)
            folder = path.parent
            while folder != self._objects and removed_empty(folder):
                folder = folder.parent

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix` and stands behind `after`, in the order of the file system."""
        folder = self._objects
        for name in prefix.split("/")[:-1]:
            folder /= quote(name, safe="")
        start, slash, _ = prefix.rpartition("/")
        found = self._walk(folder, start + slash, prefix)
        return (info for info in found if info.key.encode() > after.encode())

    def url(self, key: str, expires: timedelta, filename: str | None = None) -> str:
        """A signed link of our API to GET an object."""
        return self._signer.link(LinkTerms("GET", check_key(key), expiry(expires), filename=filename))

    def upload_target(self, key: str, content_type: str, limit: int, expires: timedelta) -> UploadTarget:
        """A signed link of our API to PUT an object of this type, of at most `limit` bytes."""
        self._path(key)
        until = expiry(expires)
        terms = LinkTerms("PUT", key, until, content_type=check_content_type(content_type), limit=limit)
        return UploadTarget("PUT", self._signer.link(terms), {}, {"Content-Type": content_type}, until)

    def verify(self, method: str, key: str, query: Mapping[str, str], now: datetime) -> LinkTerms:
        """What a link that reached our API allows.

        The route checks the request's Content-Type against `content_type` and puts with `limit`.

        Raises:
            StoreError: `bad_signature` or `expired_link`.
        """
        return self._signer.verify(method, key, query, now)

    def check(self) -> None:
        """Write, sync and drop one small file.

        Raises:
            StoreUnavailable: the folder is gone, full or not writable.
        """
        try:
            with self._written() as file, translated("of the readiness check"):
                file.write(b"ready")
                file.flush()
                os.fsync(file.fileno())
        except ObjectNotFound:
            raise StoreUnavailable(f"the folder {self._temporary} of the object store is gone: restore it") from None

    def _path(self, key: str) -> Path:
        """Where the files of a key are, less their suffix."""
        names = [quote(name, safe="") for name in check_key(key).split("/")]
        if max(map(len, names)) > MAX_NAME_BYTES:
            raise StoreError("bad_key", f"a name in the object key {key[:80]!r}... is too long for a file: shorten it")
        return self._objects.joinpath(*names)

    @contextmanager
    def _written(self) -> Iterator[BinaryIO]:
        """A temporary file, gone at the end unless it was renamed."""
        with translated(str(self._temporary)):
            descriptor, name = tempfile.mkstemp(dir=self._temporary)
            os.close(descriptor)
        path = Path(name)
        try:
            with path.open("wb") as file:  # opened by name, which `_commit` asks it for
                yield file
        finally:
            path.unlink(missing_ok=True)

    def _commit(self, file: BinaryIO, path: Path, key: str, content_type: str) -> None:
        """Make the temporary file the object. The data comes last: until then the key has its old bytes or none."""
        with self._written() as meta, translated(key):
            meta.write(json.dumps({"content_type": content_type}).encode())
            for written in (meta, file):
                written.flush()
                os.fsync(written.fileno())
            with self._locked():
                fresh = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
                path.parent.mkdir(parents=True, exist_ok=True)
                Path(meta.name).rename(path.parent / (path.name + _META))
                Path(file.name).rename(path.parent / (path.name + _DATA))
                # A rename is on the disk once its folder is, and a new folder once its own parent is.
                for folder in [path.parent, *(folder.parent for folder in fresh)]:
                    sync_folder(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Only one process at a time changes the two files of a key; the lock dies with its process."""
        with (self._root / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _walk(self, folder: Path, start: str, prefix: str) -> Iterator[ObjectInfo]:
        """The objects below a folder whose keys start with `start`; one open folder a level, nothing collected."""
        with translated(prefix):
            if ".." in folder.parts or not folder.is_dir():
                return
            entries = os.scandir(folder)
        with entries:
            for entry in entries:
                name, plus, suffix = entry.name.partition("+")
                key = start + unquote(name)
                if not plus and (f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/")):
                    yield from self._walk(folder / name, f"{key}/", prefix)
                elif plus + suffix == _DATA and key.startswith(prefix):
                    with suppress(FileNotFoundError):  # deleted since the folder was read
                        yield _info(key, entry.stat(), "")

    def _drop_stale_temporaries(self) -> None:
        oldest = time.time() - STALE_TEMPORARY_SECONDS
        for path in self._temporary.iterdir():
            with suppress(FileNotFoundError):  # another process drops them too
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _info(key: str, found: os.stat_result, content_type: str) -> ObjectInfo:
    return ObjectInfo(key, found.st_size, content_type, datetime.fromtimestamp(found.st_mtime, UTC))


def _content_type(path: Path) -> str:
    """What the sidecar says; an object without one keeps its bytes and loses its type."""
    try:
        return str(json.loads((path.parent / (path.name + _META)).read_text())["content_type"])
    except (FileNotFoundError, ValueError, KeyError):
        return DEFAULT_CONTENT_TYPE
