"""The client and its commands against a service of the test's own: real sockets, and every way to fail."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.client import Client
from shared.errors import ClientError
from shared.jobs import JobStatus
from shared.settings import load_client_settings
from shared.transport import ATTEMPTS, LONGEST_PAUSE
from tests.integration.loopback import KEY, RESULT, Cut, Loopback, Refusal, free_port
from tests.integration.test_cli import regain


@pytest.fixture
def service() -> Iterator[Loopback]:
    """A service that does as it should."""
    with Loopback() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    """What the client would have slept, in seconds."""
    return []


@pytest.fixture
def client(service: Loopback, pauses: list[float]) -> Iterator[Client]:
    """A client that does not really sleep."""
    with Client(service.url, KEY, pauses.append) as made:
        yield made


@pytest.fixture
def at_service(service: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the service and a key in their environment."""
    monkeypatch.setenv("REGAIN_URL", service.url)
    monkeypatch.setenv("REGAIN_API_KEY", KEY)


def test_submit_sends_what_the_contract_names(client: Client, service: Loopback, tmp_path: Path) -> None:
    photo = tmp_path / "süß photo.jpg"
    photo.write_bytes(b"\xff\xd8photo")
    job = client.submit(
        photo, original=b"raw", options={"strength": 0.7}, metadata={"album": 3}, idempotency_key="mine", wait=90
    )
    seen = service.seen[0]
    assert (seen.method, seen.path) == ("POST", "/v1/jobs")
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["idempotency-key"] == "mine"
    assert seen.headers["prefer"] == "wait=60"
    assert seen.parts == {
        "photo": b"\xff\xd8photo",
        "original": b"raw",
        "options": b'{"strength": 0.7}',
        "metadata": b'{"album": 3}',
    }
    assert (job.status, job.id, job.percent) == (JobStatus.QUEUED, f"{1:032x}", 0)
    assert job.created == 1795550400.0
    assert job.answer["metadata"] == {"album": 3}


def test_wait_polls_to_the_end_and_tells(client: Client, service: Loopback) -> None:
    job = client.submit(b"photo")
    news: list[tuple[str | None, int]] = []
    done = client.wait(job.id, poll=7, on_news=lambda seen: news.append((seen.stage, seen.percent)))
    assert (done.status, done.finished) == (JobStatus.SUCCEEDED, 1764000009.5)
    assert news == [("decode", 20), ("store", 100)]
    assert [seen.query for seen in service.seen[1:]] == [{"wait": "7"}] * 2


def test_wait_gives_up_in_time(client: Client, service: Loopback) -> None:
    service.steps = []
    job = client.submit(b"photo")
    with pytest.raises(ClientError, match="still queued") as caught:
        client.wait(job.id, timeout=0.0)
    assert caught.value.code == "timeout"


def test_the_key_stays_with_the_service_that_redirects(client: Client, service: Loopback, tmp_path: Path) -> None:
    with Loopback() as store:
        service.result_url = store.url
        job = client.wait(client.submit(b"photo").id)
        sizes: list[tuple[int, int | None]] = []
        target = tmp_path / "new" / "result.jpg"
        assert client.download(job.id, target, on_bytes=lambda done, size: sizes.append((done, size))) == len(RESULT)
        assert target.read_bytes() == client.result(job.id) == client.result(job.id, "gainmap") == RESULT
        assert service.seen[-1].path == f"/v1/jobs/{job.id}/gainmap"
        assert sizes[-1] == (len(RESULT), len(RESULT))
        assert [seen.path for seen in store.seen] == ["/object"] * 3
        assert not any("authorization" in seen.headers for seen in store.seen)


def test_list_cancel_retry_delete_audit(client: Client, service: Loopback) -> None:
    ids = [client.submit(b"photo").id for _ in range(5)]
    assert [job.id for job in client.every()] == ids
    page = client.list(created_after="2026-01-01T00:00:00Z")
    assert (len(page.jobs), page.next) == (2, "2")
    assert client.cancel(ids[0]).status is JobStatus.CANCELED
    assert [job.id for job in client.every(JobStatus.CANCELED)] == ids[:1]
    assert client.retry(ids[0]).status is JobStatus.QUEUED
    client.delete(ids[0])
    with pytest.raises(ClientError, match="no job") as caught:
        client.get(ids[0])
    assert (caught.value.code, caught.value.status) == ("unknown_job", 404)
    assert client.audit(b"12345")["bytes"] == 5


@pytest.mark.parametrize(
    "fault",
    [
        Cut.UNREAD,
        Cut.UNANSWERED,
        Cut.HALFWAY,
        Refusal(429, headers={"Retry-After": "3"}),
        Refusal(503, headers={"Retry-After": "3"}),
        Refusal(502, body=b"<html>"),
        Refusal(409, "in_flight", headers={"Retry-After": "3"}),
    ],
    ids=lambda fault: fault.name if isinstance(fault, Cut) else str(fault.status),
)
def test_a_fault_neither_loses_nor_doubles_a_photo(
    fault: Cut | Refusal, client: Client, service: Loopback, pauses: list[float]
) -> None:
    service.faults.extend([fault, fault])
    job = client.submit(b"photo")
    assert list(service.jobs) == [job.id]
    assert len({seen.headers["idempotency-key"] for seen in service.seen}) == 1
    assert all(seen.parts["photo"] == b"photo" for seen in service.seen)
    asked = isinstance(fault, Refusal) and "Retry-After" in fault.headers
    assert pauses == [3.0, 3.0] if asked else 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1.0


@pytest.mark.parametrize("cut", [Cut.UNANSWERED, Cut.HALFWAY])
def test_a_download_that_breaks_is_fetched_anew(cut: Cut, client: Client, service: Loopback, tmp_path: Path) -> None:
    with Loopback() as store:
        service.result_url = store.url
        job = client.wait(client.submit(b"photo").id)
        store.faults.append(cut)
        client.download(job.id, tmp_path / "result.jpg")
        assert (tmp_path / "result.jpg").read_bytes() == RESULT
        store.faults.extend([cut] * ATTEMPTS)
        with pytest.raises(ClientError, match="connection broke"):
            client.download(job.id, tmp_path / "second.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.jpg"]


def test_a_retry_that_may_have_been_done_is_not_sent_twice(client: Client, service: Loopback) -> None:
    job = client.submit(b"photo")
    service.faults.append(Cut.UNANSWERED)
    with pytest.raises(ClientError, match="cannot be reached"):
        client.retry(job.id)
    assert sum(seen.path.endswith("/retry") for seen in service.seen) == 1
    service.faults.append(Refusal(429))
    assert client.retry(job.id).status is JobStatus.QUEUED


HOPELESS = [
    (Refusal(400, "bad_photo", "the photo is cut off; send it whole"), "bad_photo", "cut off; send it whole"),
    (Refusal(500, body=b"oops"), "http_500", "the service answered 500"),
    (Refusal(409, "conflict"), "conflict", "the test refuses"),
    (Refusal(307, body=b"", headers={"Location": "https://x.example"}), "http_307", "https://x.example"),
    (Refusal(200, body=b"<html>"), "bad_answer", "without JSON"),
    (Refusal(200, body=b"[]"), "bad_answer", "without JSON"),
    (Refusal(200, body=b"{}"), "bad_answer", "lacks 'status'"),
    (Refusal(200, body=b'{"id": "1", "status": "resting"}'), "bad_answer", "'resting' is unknown"),
    (Refusal(200, body=b'{"id": "1", "status": "queued", "created": "dawn"}'), "bad_answer", "odd value"),
    (Refusal(429, "rate_limited", headers={"Retry-After": f"{LONGEST_PAUSE + 1:.0f}"}), "rate_limited", "refuses"),
]


@pytest.mark.parametrize(("refusal", "code", "words"), HOPELESS)
def test_what_no_second_try_mends(
    refusal: Refusal, code: str, words: str, service: Loopback, pauses: list[float]
) -> None:
    service.faults.append(refusal)
    with Client(service.url, KEY, pauses.append) as client, pytest.raises(ClientError) as caught:
        client.submit(b"photo")
    assert (caught.value.code, caught.value.status) == (code, refusal.status)
    assert words in str(caught.value)
    assert pauses == []
    assert service.jobs == {}


def test_a_service_that_stays_busy_is_given_up(client: Client, service: Loopback, pauses: list[float]) -> None:
    service.faults.extend([Refusal(503, "not_ready")] * ATTEMPTS)
    with pytest.raises(ClientError) as caught:
        client.submit(b"photo")
    assert (caught.value.code, len(pauses)) == ("not_ready", ATTEMPTS - 1)


def test_nobody_listens(pauses: list[float]) -> None:
    client = Client(f"http://127.0.0.1:{free_port()}", KEY, pauses.append)
    with client, pytest.raises(ClientError, match=r"cannot be reached \(no connection\)") as caught:
        client.retry("1")
    assert (caught.value.code, len(pauses)) == ("unreachable", ATTEMPTS - 1)


@pytest.mark.parametrize("use", [Client.submit, Client.audit])
def test_a_photo_that_is_not_there(use: Callable[[Client, Path], Any], client: Client, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"none\.jpg: cannot be read"):
        use(client, tmp_path / "none.jpg")


def test_settings_name_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClientError, match="set REGAIN_API_KEY"):
        Client.of(load_client_settings())
    monkeypatch.setenv("REGAIN_API_KEY", KEY)
    monkeypatch.setenv("REGAIN_URL", "photos.example")
    with pytest.raises(ClientError, match="no address of a service"):
        Client.of(load_client_settings())


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three files; the service of these tests does not look inside."""
    made = [tmp_path / f"{name}.jpg" for name in ("one", "two", "three")]
    for path in made:
        path.write_bytes(path.name.encode())
    return made


@pytest.mark.usefixtures("at_service")
def test_submit_prints_ids(photos: list[Path], service: Loopback) -> None:
    done = regain("submit", *photos, "--strength", "0.7", "--model", "compact")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["queued", job] for job in service.jobs]
    assert [json.loads(seen.parts["options"]) for seen in service.seen] == [{"strength": 0.7}] * 3
    assert [seen.parts["model"] for seen in service.seen] == [b"compact"] * 3


@pytest.mark.usefixtures("at_service")
def test_submit_into_a_folder_goes_on_after_a_refused_photo(
    photos: list[Path], service: Loopback, tmp_path: Path
) -> None:
    service.faults.append(Refusal(422, "not_a_photo", "not a photo that can be read; send a JPEG"))
    done = regain("submit", *photos, "-o", tmp_path / "out", "--json")
    assert done.returncode == 1
    reports = json.loads(done.stdout)
    assert reports[0]["error"] == {
        "code": "not_a_photo",
        "message": f"{photos[0]}: not a photo that can be read; send a JPEG",
    }
    assert [report["job"]["status"] for report in reports[1:]] == ["succeeded"] * 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "two_hdr.jpg": RESULT,
        "three_hdr.jpg": RESULT,
    }


@pytest.mark.usefixtures("at_service")
def test_submit_says_why_a_job_failed(photos: list[Path], service: Loopback) -> None:
    service.steps = [{"status": "failed", "error": {"code": "truncated", "message": "the photo is cut off"}}]
    done = regain("submit", photos[0], "--wait")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{photos[0]}: the photo is cut off" in done.stderr


@pytest.mark.usefixtures("at_service")
def test_submit_names_what_goes_on_when_the_service_is_lost(photos: list[Path], service: Loopback) -> None:
    service.steps = [{"status": "dozing"}]
    done = regain("submit", photos[0], "--wait")
    assert done.returncode == 1
    assert f"goes on: {1:032x}" in done.stderr


@pytest.mark.usefixtures("at_service")
def test_status_result_cancel_and_jobs(photos: list[Path], service: Loopback, tmp_path: Path) -> None:
    job_id = regain("submit", photos[0]).stdout.split()[1]
    assert "running" in regain("status", job_id).stdout
    assert regain("status", job_id, "--wait").returncode == 0
    done = regain("result", job_id, "-o", tmp_path / "r.jpg")
    assert (done.returncode, (tmp_path / "r.jpg").read_bytes()) == (0, RESULT), done.stderr
    second = regain("submit", photos[1]).stdout.split()[1]
    early = regain("result", second, "-o", tmp_path / "early.jpg")
    assert (early.returncode, "wait for it" in early.stderr) == (1, True)
    assert not (tmp_path / "early.jpg").exists()
    assert "canceled" in regain("cancel", second).stdout
    rows = json.loads(regain("jobs", "--state", "canceled", "--json").stdout)
    assert [row["id"] for row in rows] == [second]
    assert "2026-11-24 20:00:00Z" in regain("jobs").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["submit", "one.jpg", "--strength", "9"], 2, "strength 9 is out of range"),
        (["submit", "a.jpg", "b.jpg", "--original", "c.jpg"], 2, "--original belongs to one photo"),
        (["submit"], 2, "Missing argument"),
        (["jobs", "--state", "asleep"], 2, "asleep"),
        (["submit", "none.jpg"], 1, "none.jpg: cannot be read"),
        (["status", "0"], 1, "no job 0"),
        (["result", "0", "-o", "."], 1, ".: is a folder"),
    ],
)
@pytest.mark.usefixtures("at_service")
def test_commands_say_what_is_wrong(arguments: list[str], code: int, words: str) -> None:
    done = regain(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


def test_commands_without_a_key(photos: list[Path], service: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "set REGAIN_API_KEY" in regain("submit", photos[0]).stderr
    monkeypatch.setenv("REGAIN_URL", service.url)
    monkeypatch.setenv("REGAIN_API_KEY", "wrong")
    done = regain("submit", *photos)
    assert (done.returncode, len(service.seen), done.stderr.count("no such key")) == (1, 1, 1)


@pytest.mark.usefixtures("at_service")
def test_bars_are_drawn_on_a_terminal(photos: list[Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "worker.cli.main", "submit", *map(str, photos), "--wait"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "100", "TERM": "xterm"},
    )
    assert done.returncode == 0, done.stderr
    assert "━" in done.stderr
    assert "three.jpg" in done.stderr
