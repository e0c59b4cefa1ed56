"""The compose file's processes, without an engine: PostgreSQL, Valkey and S3, two workers, over HTTP."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis
import requests

from infra.compose import ROOT, read_env
from infra.run_compose_processes import ComposeProcesses
from shared.client import Client
from shared.jobs import JobStatus
from shared.ultrahdr import parse
from tests.golden.recipe import photo


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProcesses]:
    """Everything up, with secrets of its own."""
    # A folder of pytest's has too long a name for a socket, and no way in for PostgreSQL's user.
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/regain-XXXXXX"], text=True).strip())
    folder.chmod(0o755)
    env = tmp_path_factory.mktemp("compose") / ".env"
    env.write_bytes(subprocess.check_output([ROOT / "infra" / "make-env.sh"]))
    try:
        with ComposeProcesses(folder, read_env(env), {"worker": 2}) as running:
            yield running
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.fixture(scope="module")
def client(stack: ComposeProcesses) -> Iterator[Client]:
    """A client with a key that `regain keys create` made in the stack's PostgreSQL."""
    scopes = ["--scope", "jobs:read,jobs:write,audit"]
    made = stack.run("migrate", ["regain", "keys", "create", "--tenant", "acceptance", "--name", "test", *scopes])
    assert made.returncode == 0, made.stderr
    with Client(stack.url, made.stdout.strip()) as talking:
        yield talking


def marked(number: float) -> bytes:
    """A photo like no other: a comment segment behind its SOI."""
    words = f"{number} {time.time()}".encode()
    return photo()[:2] + b"\xff\xfe" + (len(words) + 2).to_bytes(2, "big") + words + photo()[2:]


def within(seconds: float, condition: Callable[[], bool]) -> None:
    """Fail unless a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.2)


def test_ready(stack: ComposeProcesses) -> None:
    answer = requests.get(f"{stack.url}/readyz", timeout=10)
    assert answer.status_code == 200, answer.text


def test_a_photo_in_a_result_out(client: Client, tmp_path: Path) -> None:
    done = client.wait(client.submit(marked(0)).id, timeout=60)
    assert done.status is JobStatus.SUCCEEDED, done.answer
    client.download(done.id, tmp_path / "out.jpg")
    assert parse((tmp_path / "out.jpg").read_bytes()).is_hdr
    assert client.audit((tmp_path / "out.jpg").read_bytes())["ok"] is True


def test_many_photos_are_each_done_once(client: Client) -> None:
    ids = [client.submit(marked(number), options={"strength": 0.5}).id for number in range(20)]
    done = [client.wait(job_id, timeout=90) for job_id in ids]
    assert [(job.status, job.attempt) for job in done] == [(JobStatus.SUCCEEDED, 1)] * 20


def test_no_job_is_lost_when_a_worker_is_killed(client: Client, stack: ComposeProcesses) -> None:
    ids = [client.submit(marked(number)).id for number in range(10)]
    process = stack.children["worker"][0].process
    assert process is not None
    os.killpg(process.pid, signal.SIGKILL)
    assert {client.wait(job_id, timeout=120).status for job_id in ids} == {JobStatus.SUCCEEDED}
    within(60, lambda: (again := stack.children["worker"][0].process) is not None and again.pid != process.pid)


def test_the_stores_check_their_passwords(stack: ComposeProcesses) -> None:
    environment = stack.environment("api")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(environment["REGAIN_REDIS_URL"].replace("redis://:", "redis://:x")).ping()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(environment["REGAIN_DATABASE_URL"].replace("regain:", "regain:x"))
    assert requests.get(environment["REGAIN_S3_ENDPOINT"] + "/regain", timeout=10).status_code == 403


def test_valkey_is_set_up_as_the_file_says(stack: ComposeProcesses) -> None:
    with redis.Redis.from_url(stack.environment("api")["REGAIN_REDIS_URL"]) as broker:
        settings = broker.config_get("appendonly", "appendfsync", "maxmemory-policy", "maxmemory")
    assert settings == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(384 << 20),
    }


def test_a_setup_that_ran_may_run_again(stack: ComposeProcesses) -> None:
    assert stack.run("migrate", ["regain", "migrate"]).returncode == 0
    again = stack.run("bucket", ["python", "-m", "infra.make_bucket"])
    assert (again.returncode, again.stdout) == (0, "regain: is there\n")


@pytest.mark.parametrize("name", ["worker", "webhooks", "api"])
def test_a_health_check_sees_a_process_that_is_not_there(name: str, stack: ComposeProcesses) -> None:
    own = ["http://127.0.0.1:9/healthz"] if name == "api" else ["999999"]
    kind = "api" if name == "api" else "worker"
    found = stack.run(name, ["python", "-m", "infra.healthcheck", kind, *own])
    assert (found.returncode, "answer" in found.stderr) == (1, True)


def test_control_is_unwell_once_none_leads(stack: ComposeProcesses) -> None:
    check = ["python", "-m", "infra.healthcheck", "control"]
    assert stack.run("control", check).returncode == 0
    process = stack.children["control"][0].process
    assert process is not None
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        within(30, lambda: stack.run("control", check).returncode == 1)
    finally:
        os.killpg(process.pid, signal.SIGCONT)
    within(30, lambda: stack.run("control", check).returncode == 0)
