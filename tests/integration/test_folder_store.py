"""What is true of the store in a folder alone: its files, its own signed links, and several processes at once."""

import io
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from shared.object_store import FileSystemStore, ObjectNotFound, ObjectTooLarge, StoreError, StoreUnavailable
from shared.object_store.filesystem import STALE_TEMPORARY_SECONDS

MINUTE = timedelta(minutes=1)
SECRET = b"a secret for tests, 32 bytes long"
BASE = "http://api.test"
OBJECTS = "/v1/objects/"


@pytest.fixture
def store(tmp_path: Path) -> FileSystemStore:
    """A store of this test's own."""
    return FileSystemStore(tmp_path / "store", f"{BASE}/", SECRET)


def put(store: FileSystemStore, key: str, data: bytes, limit: int = 1000) -> None:
    store.put(key, io.BytesIO(data), "image/jpeg", limit)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def parts(link: str) -> tuple[str, dict[str, str]]:
    """What a web framework makes of a link: the key in its path, and its query."""
    url = urlsplit(link)
    assert f"{url.scheme}://{url.netloc}" == BASE
    assert url.path.startswith(OBJECTS)
    return unquote(url.path.removeprefix(OBJECTS)), dict(parse_qsl(url.query))


def test_no_temporary_file_stays(store: FileSystemStore, tmp_path: Path) -> None:
    put(store, "a/b", b"data")
    with pytest.raises(ObjectTooLarge):
        put(store, "a/c", b"data", limit=3)
    store.check()
    assert files(tmp_path / "store") == {"objects/a/b+data", "objects/a/b+meta", "lock"}
    store.delete("a/b")
    assert files(tmp_path / "store") == {"lock"}
    assert list((tmp_path / "store" / "objects").iterdir()) == [], "empty folders go too"


def test_what_a_dead_process_left_is_dropped(store: FileSystemStore, tmp_path: Path) -> None:
    temporary = tmp_path / "store" / "temporary"
    for name, age in (("old", STALE_TEMPORARY_SECONDS + 60), ("new", 60)):
        (temporary / name).write_bytes(b"half")
        os.utime(temporary / name, times=(time.time() - age, time.time() - age))
    FileSystemStore(tmp_path / "store", BASE, SECRET)
    assert files(temporary) == {"new"}


def test_a_key_may_be_the_folder_of_others(store: FileSystemStore) -> None:
    for key in ("a", "a/b", "a+data", "a+data/b"):
        put(store, key, key.encode())
    assert sorted(info.key for info in store.list("")) == ["a", "a+data", "a+data/b", "a/b"]
    assert all(store.get(info.key) == info.key.encode() for info in store.list(""))
    with pytest.raises(ObjectNotFound):
        store.get("a/b/c")


def test_a_name_too_long_for_a_file(store: FileSystemStore) -> None:
    for key in ("x" * 241, "ö" * 41):
        with pytest.raises(StoreError) as caught:
            put(store, key, b"")
        assert caught.value.code == "bad_key"
    put(store, "x" * 240, b"")


def test_a_lost_sidecar_costs_the_type_alone(store: FileSystemStore, tmp_path: Path) -> None:
    put(store, "a", b"data")
    (tmp_path / "store" / "objects" / "a+meta").unlink()
    assert (store.get("a"), store.head("a").content_type) == (b"data", "application/octet-stream")


def test_many_objects_are_listed_as_they_are_read(store: FileSystemStore, tmp_path: Path) -> None:
    folder = tmp_path / "store" / "objects" / "many"
    folder.mkdir()
    for number in range(2500):
        (folder / f"{number}+data").write_bytes(b"")
    listing: Iterator[Any] = store.list("many/")
    seen = {next(listing).key}
    for info in listing:
        seen.add(info.key)
        store.delete(info.key)  # as the sweeper does
    assert seen == {f"many/{number}" for number in range(2500)}


def test_writers_and_deleters_at_once(store: FileSystemStore) -> None:
    """Each put is whole and each delete clean, though they share keys and a folder that comes and goes."""
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(15):
                put(store, f"shared/{turn % 2}", bytes([number]) * 500)
                store.delete(f"shared/{(turn + number) % 2}")
        except (StoreError, OSError) as error:
            failures.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for info in store.list(""):
        assert len(set(store.get(info.key))) == 1
        assert store.head(info.key).content_type == "image/jpeg"


def test_a_full_disk_is_retryable(store: FileSystemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left") as caught:
        put(store, "a", b"new")
    assert caught.value.retryable
    with pytest.raises(StoreUnavailable):
        store.check()
    assert store.get("a") == b"old"


def test_a_link_to_get(store: FileSystemStore) -> None:
    for key, filename in (("a/IMG 1+2&3.jpg", 'Größe "1".jpg'), ("a", None)):
        found, query = parts(store.url(key, MINUTE, filename))
        assert found == key
        for method in ("GET", "HEAD"):
            terms = store.verify(method, found, query, datetime.now(UTC))
            assert (terms.method, terms.key, terms.filename, terms.limit) == ("GET", key, filename, None)


def test_a_link_to_put(store: FileSystemStore) -> None:
    target = store.upload_target("a", "image/jpeg", 100, MINUTE)
    assert (target.method, target.fields, target.headers) == ("PUT", {}, {"Content-Type": "image/jpeg"})
    key, query = parts(target.url)
    terms = store.verify("PUT", key, query, datetime.now(UTC))
    assert (terms.content_type, terms.limit, terms.expires) == ("image/jpeg", 100, target.expires)
    store.put(key, io.BytesIO(bytes(100)), "image/jpeg", terms.limit or 0)
    with pytest.raises(ObjectTooLarge):
        store.put(key, io.BytesIO(bytes(101)), "image/jpeg", terms.limit or 0)


def test_a_link_ends(store: FileSystemStore) -> None:
    key, query = parts(store.url("a", MINUTE))
    now = datetime.now(UTC)
    store.verify("GET", key, query, now + timedelta(seconds=50))
    for late in (MINUTE, timedelta(days=400)):
        with pytest.raises(StoreError) as caught:
            store.verify("GET", key, query, now + late)
        assert caught.value.code == "expired_link"


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("GET", {"expires": "99999999999"}),
        ("GET", {"expires": "9" * 40}),
        ("GET", {"expires": "soon"}),
        ("GET", {"filename": "other.jpg"}),
        ("GET", {"filename": None}),
        ("GET", {"limit": "5"}),
        ("GET", {"limit": "x"}),
        ("GET", {"signature": "0" * 64}),
        ("GET", {"signature": "ö"}),
        ("GET", {"signature": None}),
        ("GET", {"expires": None}),
        ("PUT", {}),
        ("DELETE", {}),
    ],
)
def test_a_changed_link_is_not_ours(store: FileSystemStore, method: str, change: dict[str, str | None]) -> None:
    key, query = parts(store.url("a", MINUTE, "name.jpg"))
    changed = {name: value for name, value in {**query, **change}.items() if value is not None}
    with pytest.raises(StoreError) as caught:
        store.verify(method, key, changed, datetime.now(UTC))
    assert caught.value.code == "bad_signature"


def test_a_link_is_for_one_key_one_upload_and_one_secret(store: FileSystemStore, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    key, query = parts(store.upload_target("a", "image/jpeg", 100, MINUTE).url)
    other = FileSystemStore(tmp_path / "store", BASE, b"another secret of 32 bytes, yes.")
    attempts: list[Callable[[], object]] = [
        lambda: store.verify("PUT", "b", query, now),
        lambda: store.verify("PUT", key, query | {"limit": "1000"}, now),
        lambda: store.verify("PUT", key, query | {"content_type": "text/html"}, now),
        lambda: store.verify("GET", key, query, now),
        lambda: other.verify("PUT", key, query, now),
    ]
    for attempt in attempts:
        with pytest.raises(StoreError) as caught:
            attempt()
        assert caught.value.code == "bad_signature"
