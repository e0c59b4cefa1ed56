"""One contract, three stores: a folder, moto, and nanio, which checks signatures."""

import base64
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest
import requests

from shared.object_store import (
    FileSystemStore,
    ObjectNotFound,
    ObjectStore,
    ObjectTooLarge,
    S3Store,
    StoreError,
    StoreSettings,
    StoreUnavailable,
    hashed,
    joined,
    make_store,
)
from shared.object_store.s3 import PART_BYTES
from tests.services.ports import free_port
from tests.services.s3 import S3Server, moto_server, nanio_server

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


@pytest.fixture(scope="module")
def signed_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The server that checks signatures."""
    with nanio_server(tmp_path_factory.mktemp("nanio") / "data") as server:
        yield server


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


def test_pieces_that_are_made_on_the_way_are_one_object(store: ObjectStore) -> None:
    pieces = [bytes([number % 251]) * (1 + number % 3000) for number in range(9000)]
    assert sum(map(len, pieces)) > PART_BYTES
    store.put("pieces", joined(iter(pieces)), "text/csv", limit=64 * MIB)
    assert store.get("pieces") == b"".join(pieces)
    with pytest.raises(ObjectTooLarge):
        store.put("too-many", joined(iter(pieces)), "text/csv", limit=PART_BYTES)


def test_a_listing_is_taken_up_behind_a_key(store: ObjectStore) -> None:
    names = [f"behind/{name}" for name in ("a.jpg", "b/1.jpg", "b/ü.jpg", "c.jpg")]
    for name in names:
        put(store, name, b"x")
    for number, name in enumerate(names):
        assert sorted(info.key for info in store.list("behind/", name)) == names[number + 1 :]
    assert sorted(info.key for info in store.list("behind/", "behind/b/")) == names[1:]


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


def test_a_dead_endpoint_is_said_to_be_retryable(tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    dead = S3Store("bucket", endpoint, access_key="a", secret_key="b")
    gone = FileSystemStore(tmp_path / "gone", "http://api.test", SECRET)
    shutil.rmtree(tmp_path / "gone")
    calls: list[Callable[[], object]] = [dead.check, lambda: dead.get("a"), lambda: list(dead.list("")), gone.check]
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert (caught.value.code, caught.value.retryable) == ("store_unavailable", True)


def test_a_bucket_that_is_not_there(signed_store: S3Server) -> None:
    wrong = make_store(replace(signed_store.settings(), bucket="another"))
    with pytest.raises(StoreError) as caught:
        put(wrong, "a", b"")
    assert caught.value.code == "no_bucket"
    with pytest.raises(StoreUnavailable, match="another"):
        wrong.check()


def test_wrong_keys_are_denied(signed_store: S3Server) -> None:
    store = make_store(replace(signed_store.settings(), secret_key="wrong"))
    with pytest.raises(StoreError) as caught:
        put(store, "a", b"")
    assert (caught.value.code, caught.value.retryable) == ("store_denied", False)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # Python 3.12 warns where threads run
def test_a_client_belongs_to_one_process(signed_store: S3Server) -> None:
    """A store that was used before a fork works after it, on connections of its own."""
    store = make_store(signed_store.settings())
    put(store, "forked", b"parent")
    child = os.fork()
    if child == 0:
        try:
            put(store, "forked", store.get("forked") + b" and child")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.get("forked") == b"parent and child"


def test_a_signed_link_gives_the_object(signed_store: S3Server) -> None:
    store = make_store(signed_store.settings())
    put(store, "linked/IMG 1+2.jpg", b"photo")
    got = requests.get(store.url("linked/IMG 1+2.jpg", MINUTE, 'Größe "1".jpg'), timeout=10)
    assert (got.status_code, got.content) == (200, b"photo")
    assert got.headers["Content-Type"] == "image/jpeg"


def test_a_signed_link_ends_and_is_not_to_be_changed(signed_store: S3Server) -> None:
    store = make_store(signed_store.settings())
    put(store, "linked/a", b"a")
    put(store, "linked/b", b"b")
    link = store.url("linked/a", timedelta(seconds=1))
    for changed in (link.replace("linked/a", "linked/b"), link.replace("Expires=1", "Expires=900"), link.split("?")[0]):
        assert requests.get(changed, timeout=10).status_code == 403
    assert requests.put(link, data=b"changed", timeout=10).status_code == 403
    assert store.get("linked/a") == b"a"
    time.sleep(2.1)  # the server counts whole seconds
    assert requests.get(link, timeout=10).status_code == 403


def test_links_name_the_public_endpoint() -> None:
    """The host is signed, so the address that browsers reach must be in the link from the start."""
    store = S3Store(
        "bucket", "http://store:8333", access_key="a", secret_key="b", sse="AES256", public_endpoint="https://s3.test"
    )
    assert store.url("a/b", MINUTE, "Größe.jpg").startswith("https://s3.test/bucket/a/b?")
    assert "filename%2A%3DUTF-8%27%27Gr%25C3%25B6%25C3%259Fe.jpg" in store.url("a/b", MINUTE, "Größe.jpg")
    target = store.upload_target("a/b", "image/jpeg", 1000, MINUTE)
    assert (target.method, target.url, target.headers) == ("POST", "https://s3.test/bucket", {})
    policy = json.loads(base64.b64decode(target.fields["policy"]))
    for condition in (
        ["content-length-range", 0, 1000],
        {"Content-Type": "image/jpeg"},
        {"key": "a/b"},
        {"x-amz-server-side-encryption": "AES256"},
    ):
        assert condition in policy["conditions"]
    assert timedelta(seconds=55) < target.expires - datetime.now(UTC) <= MINUTE


def test_a_form_uploads(tmp_path: Path) -> None:
    """moto takes the form without checking its policy, which the test above reads."""
    with moto_server() as server:
        store = make_store(server.settings())
        target = store.upload_target("direct/a.jpg", "image/jpeg", 100, MINUTE)
        answer = requests.post(target.url, data=target.fields, files={"file": b"photo"}, timeout=10)
        assert answer.status_code in (200, 204)
        assert (store.get("direct/a.jpg"), store.head("direct/a.jpg").content_type) == (b"photo", "image/jpeg")


def test_hashed() -> None:
    stream = io.BytesIO(b"head" + b"x" * MIB)
    stream.seek(4)
    assert hashed(stream, MIB) == hashlib.sha256(b"x" * MIB).hexdigest()
    assert stream.tell() == 4
    with pytest.raises(ObjectTooLarge):
        hashed(stream, MIB - 1)
    assert stream.tell() == 4


def test_settings_that_are_missing(tmp_path: Path) -> None:
    for settings in (
        StoreSettings(kind="filesystem", secret=SECRET),
        StoreSettings(kind="filesystem", root=tmp_path, secret=b"short"),
        StoreSettings(kind="s3"),
    ):
        with pytest.raises(ValueError, match="needs"):
            make_store(settings)
    assert "hush" not in repr(StoreSettings(kind="s3", secret=b"hush", secret_key="hush"))
