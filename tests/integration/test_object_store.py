"""One contract, three stores: a folder, moto, and nanio, which checks signatures."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from shared.object_store import (
    FileSystemStore,
    ObjectNotFound,
    ObjectStore,
    ObjectTooLarge,
    StoreError,
    StoreSettings,
    make_store,
)
from shared.object_store.s3 import PART_BYTES
from tests.services.s3 import moto_server, nanio_server

MIB = 1024 * 1024
MINUTE = timedelta(minutes=1)
SECRET = b"a secret for tests, 32 bytes long"


@pytest.fixture(scope="module", params=["folder", "moto", "nanio"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Each store in turn; tests keep to keys of their own."""
    folder = tmp_path_factory.mktemp("store") / "data"
    if request.param == "folder":
        settings = StoreSettings(kind="filesystem", root=folder, base_url="http://api.test", secret=SECRET)
        yield make_store(settings)
    else:
        with moto_server() if request.param == "moto" else nanio_server(folder) as server:
            yield make_store(server.settings())


@pytest.fixture
def folder_store(tmp_path: Path) -> FileSystemStore:
    """A store in a folder of this test's own."""
    return FileSystemStore(tmp_path / "store", "http://api.test/", SECRET)


@pytest.fixture(scope="module")
def signed_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """The server that checks signatures."""
    with nanio_server(tmp_path_factory.mktemp("nanio") / "data") as server:
        yield make_store(server.settings())


def put(store: ObjectStore, key: str, data: bytes, content_type: str = "image/jpeg") -> None:
    store.put(key, io.BytesIO(data), content_type, limit=64 * MIB)


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return sorted(info.key for info in store.list(prefix))


@pytest.mark.parametrize(
    "size", [0, 1, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 7], ids=["0", "1", "<part", "part", "parts"]
)
def test_what_is_put_is_there(store: ObjectStore, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    key = f"there/{size}"
    info = store.put(key, io.BytesIO(data), "image/jpeg", limit=max(size, 1))
    assert (info.key, info.size, info.content_type) == (key, size, "image/jpeg")
    assert abs(info.modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert store.head(key) == info
    assert store.get(key) == data
    with store.open(key) as stream:
        pieces = list(iter(lambda: stream.read(100_000), b""))
    assert b"".join(pieces) == data
    assert store.get(key) == data, "reading changes nothing"


def test_a_stream_is_stored_from_where_it_stands(store: ObjectStore) -> None:
    stream = io.BytesIO(b"skip-rest")
    stream.seek(5)
    assert store.put("standing", stream, "text/plain", limit=4).size == 4
    assert store.get("standing") == b"rest"


def test_a_second_put_replaces(store: ObjectStore) -> None:
    put(store, "twice", b"old, and longer", "image/png")
    put(store, "twice", b"new")
    assert store.get("twice") == b"new"
    assert store.head("twice").content_type == "image/jpeg"


@pytest.mark.parametrize("limit", [0, 1000, PART_BYTES + 5])
def test_what_is_too_long_leaves_nothing(store: ObjectStore, limit: int) -> None:
    with pytest.raises(ObjectTooLarge) as caught:
        store.put(f"long/{limit}", io.BytesIO(bytes(limit + 1)), "image/jpeg", limit)
    assert (caught.value.code, caught.value.retryable) == ("object_too_large", False)
    assert keys(store, "long/") == []


class Broken(io.RawIOBase):
    """An upload whose client goes away after some bytes."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        """Zeros, then the break."""
        if self.left <= 0:
            raise ConnectionResetError("the client went away")
        given = min(size, self.left)
        self.left -= given
        return bytes(given)


@pytest.mark.parametrize("size", [10, PART_BYTES + 10])
def test_a_broken_upload_keeps_the_old_object(store: ObjectStore, size: int) -> None:
    put(store, "broken", b"old")
    stream: BinaryIO = Broken(size)  # type: ignore[assignment]
    with pytest.raises(ConnectionResetError):
        store.put("broken", stream, "image/jpeg", limit=64 * MIB)
    assert store.get("broken") == b"old"


def test_what_is_not_there(store: ObjectStore) -> None:
    put(store, "dir/below", b"")
    for missing in ("absent", "dir/other"):
        for call in (store.get, store.head, lambda key: store.copy(key, "elsewhere"), lambda key: store.copy(key, key)):
            with pytest.raises(ObjectNotFound, match=missing) as caught:
                call(missing)
            assert (caught.value.code, caught.value.retryable) == ("object_not_found", False)
        with pytest.raises(ObjectNotFound), store.open(missing):
            pass
        store.delete(missing)
    assert store.get("dir/below") == b""


def test_copy_takes_the_type_along(store: ObjectStore) -> None:
    put(store, "copied/from", b"bytes", "image/png")
    store.copy("copied/from", "copied/to")
    store.copy("copied/to", "copied/to")
    assert store.get("copied/to") == store.get("copied/from") == b"bytes"
    assert store.head("copied/to").content_type == "image/png"


def test_delete_is_idempotent(store: ObjectStore) -> None:
    put(store, "gone/deep/er", b"x")
    store.delete("gone/deep/er")
    store.delete("gone/deep/er")
    assert keys(store, "gone") == []
    put(store, "gone/deep/er", b"again")
    assert store.get("gone/deep/er") == b"again"


@pytest.mark.parametrize(
    "key",
    ["odd/IMG 0001.jpg", "odd/100%+1=a&b#c?.jpg", "odd/Größe/日本.jpg", "odd/-dash", "odd/a+data", "odd/.hidden"],
)
def test_odd_names(store: ObjectStore, key: str) -> None:
    put(store, key, key.encode())
    assert store.get(key) == key.encode()
    assert key in keys(store, "odd/")
    store.copy(key, f"{key}.copy")
    assert store.get(f"{key}.copy") == key.encode()


def test_list_takes_any_prefix(store: ObjectStore) -> None:
    for name in ("p/ab", "p/a/b/c", "p/b", "pa"):
        put(store, name, name.encode())
    assert keys(store, "p/") == ["p/a/b/c", "p/ab", "p/b"]
    assert keys(store, "p/a") == ["p/a/b/c", "p/ab"]
    assert keys(store, "p/a/") == ["p/a/b/c"]
    assert keys(store, "p/a/b/c") == ["p/a/b/c"]
    assert keys(store, "p/nothing") == keys(store, "../") == []
    assert {"pa", "p/ab"} <= set(keys(store, ""))
    info = next(found for found in store.list("p/ab"))
    assert (info.size, info.content_type) == (4, "")
    assert info.modified.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\\b", "a\0b", "a\nb", "x" * 1025, "\ud800"]
)
def test_bad_keys(store: ObjectStore, key: str) -> None:
    calls: list[Callable[[str], object]] = [
        store.get,
        store.head,
        store.delete,
        lambda key: put(store, key, b""),
        lambda key: store.copy("some", key),
        lambda key: store.url(key, MINUTE),
        lambda key: store.upload_target(key, "image/jpeg", 1, MINUTE),
    ]
    for call in calls:
        with pytest.raises(StoreError) as caught:
            call(key)
        assert caught.value.code == "bad_key"


def test_bad_terms(store: ObjectStore) -> None:
    for content_type in ("jpeg", "image/jpeg\r\nX: y", ""):
        with pytest.raises(StoreError, match="not a content type"):
            put(store, "typed", b"", content_type)
    for life in (timedelta(0), timedelta(days=8)):
        with pytest.raises(StoreError, match="signed link"):
            store.url("typed", life)


def test_ready(store: ObjectStore) -> None:
    store.check()
