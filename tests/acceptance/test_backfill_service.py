"""`regain backfill` through a running service: killed, interrupted, left alone; outputs as `--local` writes them."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from shared.jobs import JobStatus, Queue
from tests.golden.recipe import Recipe, build, photo
from tests.services.command import Command
from tests.services.stack import Stack, kill_group, marked, wait_for
from tests.unit.guided.test_guided import hdr, jpeg, scene
from worker.embedded import free_port

NEW = 12
SLOW = {2, 5, 8}  # photos that take `faulty_worker` seconds, so that a kill comes in the middle
EXPECTED = {"restored": NEW, "unchanged": 1, "duplicate": 1, "failed": 1}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    (tmp_path / "stack").mkdir()
    with Stack(tmp_path / "stack") as running:
        running.start_control()
        running.start_worker()
        yield running


@pytest.fixture
def client(stack: Stack, tmp_path: Path) -> Command:
    return Command(stack.start_api(), stack.api_key(), tmp_path)


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[tuple[Stack, Command]]:
    """A service that takes jobs and does none."""
    (tmp_path / "stack").mkdir()
    with Stack(tmp_path / "stack") as running:
        yield running, Command(running.start_api(), running.api_key(), tmp_path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """New ones, one that is HDR, a copy of the first, one that is broken."""
    folder = tmp_path / "library"
    (folder / "sub").mkdir(parents=True)
    for number in range(NEW):
        name = f"sub/{number:02d}.jpg" if number % 2 else f"{number:02d}.jpg"
        (folder / name).write_bytes(marked(photo(), f"{'slow' if number in SLOW else 'photo'} {number}"))
    (folder / "hdr.jpg").write_bytes(build(Recipe()))
    (folder / "z.jpg").write_bytes(marked(photo(), "photo 0"))
    (folder / "broken.jpg").write_bytes(photo()[:500])
    return folder


def report(folder: Path) -> list[dict[str, Any]]:
    """Every line of the report; none stands there twice."""
    rows = [json.loads(line) for line in (folder / "backfill-report.jsonl").read_text().splitlines()]
    assert len({row["line"] for row in rows}) == len(rows)
    return rows


def outcomes(folder: Path) -> Counter[str]:
    return Counter(row["outcome"] for row in report(folder))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.jpg"))}


def written(folder: Path) -> int:
    return len(list(folder.rglob("*_hdr.jpg")))


def each_once(stack: Stack, number: int = NEW) -> None:
    """The service did every photo once, in its bulk queue."""
    jobs = stack.all_jobs()
    assert Counter((job.status, job.attempt, job.queue) for job in jobs) == {
        (JobStatus.SUCCEEDED, 1, Queue.BULK): number
    }


def test_killed_and_resumed_and_equal_to_local(stack: Stack, client: Command, photos: Path, tmp_path: Path) -> None:
    output, here = tmp_path / "out", tmp_path / "here"
    arguments = (photos, "-o", output, "--window", "4")
    for wanted in (2, 7):
        process = client.start("backfill", *arguments)
        wait_for(lambda wanted=wanted: written(output) >= wanted, 60)
        assert process.poll() is None
        kill_group(process)
    ended = client.finish("backfill", *arguments)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert outcomes(output) == EXPECTED
    each_once(stack)
    restored = [row for row in report(output) if row["outcome"] == "restored"]
    assert {row["job"] for row in restored} == {job.id for job in stack.all_jobs()}
    assert all(row["seconds"] > 0 for row in restored)
    assert not [path for path in output.rglob(".*") if path.name != ".regain-backfill.jsonl"]

    assert client.finish("backfill", photos, "--local", "-o", here, "--jobs", "1").returncode == 1
    assert files(output) == files(here)
    assert len(files(output)) == NEW
    kept = ("line", "source", "outcome", "output", "error_code", "error_message", "duplicate_of", "confidence")
    assert [{name: row[name] for name in kept} for row in report(output)] == [
        {name: row[name] for name in kept} for row in report(here)
    ]

    # Once more: only the failed row is tried again.
    size = (output / ".regain-backfill.jsonl").stat().st_size
    assert client.finish("backfill", *arguments).returncode == 1
    assert outcomes(output) == EXPECTED
    assert (output / ".regain-backfill.jsonl").stat().st_size - size < 1000
    each_once(stack)


@pytest.mark.long
def test_interrupted(stack: Stack, client: Command, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = (photos, "-o", output, "--exclude", "broken.jpg", "--window", "3")
    process = client.start("backfill", *arguments)
    wait_for(lambda: written(output) >= 2, 60)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == 130
    assert 2 <= outcomes(output)["restored"] < NEW
    assert "Traceback" not in client.said.read_text()
    assert client.finish("backfill", *arguments).returncode == 0
    assert outcomes(output) == {name: number for name, number in EXPECTED.items() if name != "failed"}
    each_once(stack)


@pytest.mark.long
def test_the_api_is_away_for_a_while(stack: Stack, photos: Path, tmp_path: Path) -> None:
    output, port = tmp_path / "out", free_port()
    client = Command(stack.start_api(port=port), stack.api_key(), tmp_path)
    process = client.start("backfill", photos, "-o", output, "--window", "4")
    wait_for(lambda: written(output) >= 2, 60)
    kill_group(stack.processes[-1])
    wait_for(lambda: "waiting up to 10 min" in client.said.read_text(), 60)
    assert process.poll() is None
    stack.start_api(port=port)
    assert process.wait(120) == 1
    said = client.said.read_text()
    assert said.count("waiting up to") == said.count("the service answers again") == 1
    assert outcomes(output) == EXPECTED
    each_once(stack)


@pytest.mark.long
def test_rate_limits_are_honoured(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    with Stack(tmp_path / "stack", {"REGAIN_RATE_LIMIT": "3/second"}) as stack:
        stack.start_control()
        stack.start_worker()
        client = Command(stack.start_api(), stack.api_key(), tmp_path)
        ended = client.finish("backfill", photos, "-o", tmp_path / "out")
        assert (ended.returncode, ended.stderr) == (1, "")
        assert outcomes(tmp_path / "out") == EXPECTED
        each_once(stack)


@pytest.mark.long
def test_a_job_that_is_called_off_is_tried_again(idle: tuple[Stack, Command], photos: Path, tmp_path: Path) -> None:
    (stack, client), output = idle, tmp_path / "out"
    arguments = (photos, "-o", output, "--include", "02.jpg", "--include", "04.jpg")
    process = client.start("backfill", *arguments)
    wait_for(lambda: len(stack.all_jobs()) == 2, 60)
    called_off = next(job for job in stack.all_jobs() if job.source_name == "02.jpg")
    ended = client.finish("cancel", called_off.id)
    assert ended.returncode == 0, ended.stderr
    stack.start_control()
    stack.start_worker()
    assert process.wait(120) == 1
    assert outcomes(output) == {"canceled": 1, "restored": 1}
    assert client.finish("backfill", *arguments).returncode == 0
    assert outcomes(output) == {"restored": 2}


def test_originals_go_along(client: Command, tmp_path: Path) -> None:
    edits, originals, output, here = (tmp_path / name for name in ("edits", "originals", "out", "here"))
    edits.mkdir()
    originals.mkdir()
    picture, gain = scene(11)
    (edits / "IMG_1-edited.jpg").write_bytes(jpeg(picture))
    (originals / "IMG_1.jpg").write_bytes(hdr(picture, gain))
    (edits / "IMG_2.jpg").write_bytes(jpeg(scene(12)[0]))
    (originals / "IMG_2.heic").write_bytes(b"not read")
    arguments = (edits, "--originals", originals)
    for ended in (
        client.finish("backfill", *arguments, "-o", output),
        client.finish("backfill", *arguments, "-o", here, "--local"),
    ):
        assert ended.returncode == 0, ended.stderr
        assert "2 of 2 edits found their original" in ended.stdout
    assert files(output) == files(here)
    assert [(row["original"], row["confidence"]) for row in report(output)] == [
        (row["original"], pytest.approx(row["confidence"], abs=1e-4)) for row in report(here)
    ]
    assert report(output)[0]["confidence"] > 0.9


def test_a_dry_run_sends_nothing(idle: tuple[Stack, Command], photos: Path, tmp_path: Path) -> None:
    stack, client = idle
    said = client.finish("backfill", photos, "--dry-run", "-o", tmp_path / "out")
    assert said.returncode == 0, said.stderr
    assert "would restore 13" in said.stdout  # that one is broken is for the service to say
    assert "nothing was sent or written" in said.stdout
    assert not (tmp_path / "out").exists()
    assert stack.all_jobs() == []


class _Website(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def website() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Website)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("what", ["key", "no key", "model", "no service", "website", "no address"])
def test_a_run_that_cannot_begin(
    idle: tuple[Stack, Command], photos: Path, tmp_path: Path, website: str, what: str
) -> None:
    stack, client = idle
    environment = {
        "key": {"REGAIN_API_KEY": "rgn_wrong"},
        "no service": {"REGAIN_URL": f"http://127.0.0.1:{free_port()}"},
        "website": {"REGAIN_URL": website},
        "no address": {"REGAIN_URL": "here"},
    }
    client.environment |= environment.get(what, {})
    if what == "no key":
        del client.environment["REGAIN_API_KEY"]
    wrong = ("--model", "none") if what == "model" else ()
    begun = time.monotonic()
    ended = client.finish("backfill", photos, "-o", tmp_path / "out", *wrong)
    print(f"{what}: {time.monotonic() - begun:.1f} s")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert {
        "key": "the API key",
        "no key": "set REGAIN_API_KEY",
        "model": "no model named 'none'",
        "no service": "cannot be reached",
        "website": "is that the address of a Regain service?",
        "no address": "is no address of a service",
    }[what] in line
    assert not list(tmp_path.glob("out/**/*.jpg"))
    assert what == "model" or not (tmp_path / "out").exists()
    assert stack.all_jobs() == []
