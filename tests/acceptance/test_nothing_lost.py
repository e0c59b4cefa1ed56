"""Whatever dies, every accepted job ends, once. Real processes, really killed; repair times are printed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from shared.jobs import Job, JobStatus
from tests.golden.recipe import photo
from tests.services.postgres import postgres_server
from tests.services.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, nanio_server
from tests.services.stack import Stack, kill_group, wait_for


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path) as running:
        yield running


@pytest.fixture(params=["embedded", "deployed"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """The embedded parts, and then a real PostgreSQL with a server that speaks S3."""
    if request.param == "embedded":
        with Stack(tmp_path) as running:
            yield running
        return
    (tmp_path / "s3").mkdir()
    with postgres_server() as url, nanio_server(tmp_path / "s3") as s3, Stack(tmp_path, deployed(url, s3)) as running:
        yield running


def deployed(url: str, s3: S3Server) -> dict[str, str]:
    """The settings of a service over PostgreSQL and S3."""
    return {
        "REGAIN_DATABASE_URL": url,
        "REGAIN_STORE": "s3",
        "REGAIN_S3_BUCKET": BUCKET,
        "REGAIN_S3_ENDPOINT": s3.endpoint,
        "REGAIN_S3_ACCESS_KEY": ACCESS_KEY,
        "REGAIN_S3_SECRET_KEY": SECRET_KEY,
    }


@pytest.fixture
def repaired(capsys: pytest.CaptureFixture[str]) -> Callable[[str, float], None]:
    """Say how long a repair took."""

    def say(what: str, seconds: float) -> None:
        with capsys.disabled():
            print(f"\n    {what}: {seconds:.1f} s")

    return say


def all_succeeded(stack: Stack, jobs: list[Job]) -> bool:
    """Every job has its one result, stored and readable."""
    for job in jobs:
        assert job.status is JobStatus.SUCCEEDED, job
        assert job.result is not None
        assert stack.store.head(job.result_key).size == job.result["size"]
    return True


def test_a_worker_killed_in_mid_job(both: Stack, repaired: Callable[[str, float], None]) -> None:
    stack = both
    stack.start_control()
    worker = stack.start_worker()
    (job_id,) = stack.submit("slow")
    stack.wait_running(job_id)
    kill_group(worker)
    begun = time.monotonic()
    stack.start_worker()
    wait_for(lambda: stack.jobs([job_id])[0].attempt == 2, 30)
    repaired("worker killed, job started again after", time.monotonic() - begun)
    assert all_succeeded(stack, stack.wait_final([job_id], 30))


def test_a_pool_process_killed_in_mid_job(stack: Stack, repaired: Callable[[str, float], None]) -> None:
    stack.start_control()
    stack.start_worker()
    (job_id,) = stack.submit("slow")
    job = stack.wait_running(job_id)
    assert job.holder is not None
    os.kill(int(job.holder.rpartition("/")[2]), signal.SIGKILL)
    took = wait_for(lambda: stack.jobs([job_id])[0].attempt == 2, 20)
    repaired("pool process killed, job started again after", took)
    assert all_succeeded(stack, stack.wait_final([job_id], 30))


def test_an_idle_worker_killed_as_jobs_are_published(stack: Stack, repaired: Callable[[str, float], None]) -> None:
    stack.start_control()
    worker = stack.start_worker()
    kill_group(worker)
    ids = stack.submit("plain", "plain", "plain")  # the broker hands the first to a connection that is dead
    begun = time.monotonic()
    stack.start_worker()
    assert all_succeeded(stack, stack.wait_final(ids, 40))
    repaired("idle worker killed with an immediate publish, all done after", time.monotonic() - begun)


def test_the_broker_killed(stack: Stack, repaired: Callable[[str, float], None]) -> None:
    stack.start_control()
    stack.start_worker()
    ids = stack.submit("slow", "plain", "plain")
    stack.wait_running(ids[0])
    stack.kill_broker()
    ids += stack.submit("plain", "plain")  # accepted while there is no broker at all
    time.sleep(2)
    stack.start_broker()
    begun = time.monotonic()
    assert all_succeeded(stack, stack.wait_final(ids, 60))
    repaired("broker killed, back after 2 s, all done after", time.monotonic() - begun)


def test_the_broker_wiped_in_mid_run(both: Stack, repaired: Callable[[str, float], None]) -> None:
    stack = both
    stack.start_control()
    stack.start_worker()
    ids = stack.submit("slow", *["plain"] * 20)
    stack.wait_running(ids[0])
    stack.redis.flushall()
    begun = time.monotonic()
    ids += stack.submit("plain")
    assert all_succeeded(stack, stack.wait_final(ids, 60))
    repaired("FLUSHALL with 20 messages waiting, all done after", time.monotonic() - begun)
    assert [job.attempt for job in stack.jobs(ids)] == [1] * len(ids)


def test_a_worker_frozen_past_its_lease_finishes_too_late(stack: Stack, repaired: Callable[[str, float], None]) -> None:
    stack.start_control()
    frozen = stack.start_worker()
    (job_id,) = stack.submit("slow")
    stack.wait_running(job_id)
    kill_group(frozen, signal.SIGSTOP)
    stack.start_worker()
    took = wait_for(lambda: stack.jobs([job_id])[0].attempt == 2, 30)
    repaired("worker frozen, job started again after", took)
    (done,) = stack.wait_final([job_id], 30)
    kill_group(frozen, signal.SIGCONT)
    log = stack.folder / "processes.log"
    wait_for(lambda: "lease_lost" in log.read_text() or "finished_too_late" in log.read_text(), 20)
    assert stack.jobs([job_id]) == [done]
    assert all_succeeded(stack, [done])


def test_a_photo_that_kills_its_worker_ends_as_a_dead_letter(stack: Stack) -> None:
    stack.start_control()
    stack.start_worker()
    poison, *others = stack.submit("poison", "plain", "plain")
    assert all_succeeded(stack, stack.wait_final(others, 60))
    (dead,) = stack.wait_final([poison], 60)
    assert dead.status is JobStatus.DEAD
    assert dead.attempt <= stack.settings.max_attempts + 1
    assert dead.error_code == "worker_lost"
    assert "given up after 3 attempts" in (dead.error_message or "")


def test_two_control_loops_and_one_dies(stack: Stack, repaired: Callable[[str, float], None]) -> None:
    first = stack.start_control()
    wait_for(lambda: b"leading" in (stack.folder / "processes.log").read_bytes(), 20)
    stack.start_control()
    stack.start_worker()
    kill_group(first)
    stack.kill_broker()  # so that only a dispatcher can bring the job to a worker
    ids = stack.submit("plain")
    stack.start_broker()
    begun = time.monotonic()
    assert all_succeeded(stack, stack.wait_final(ids, 60))
    repaired("leading control loop killed, its work goes on after", time.monotonic() - begun)


@pytest.mark.parametrize("point", ["commit", "publish"])
def test_the_api_killed_after_it_committed(stack: Stack, point: str, repaired: Callable[[str, float], None]) -> None:
    stack.start_control()
    stack.start_worker()
    headers = {"Authorization": f"Bearer {stack.api_key()}", "Idempotency-Key": "once"}
    url = stack.start_api(die=point)
    with pytest.raises(requests.ConnectionError):
        submit(url, headers)
    begun = time.monotonic()
    (job,) = stack.all_jobs()  # accepted, though its owner was never told
    assert all_succeeded(stack, stack.wait_final([job.id], 40))
    repaired(f"API killed at {point}, job done after", time.monotonic() - begun)
    answer = submit(stack.start_api(), headers)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert answer.json()["id"] == job.id
    assert len(stack.all_jobs()) == 1


def test_the_api_killed_before_it_committed(stack: Stack) -> None:
    stack.start_control()
    stack.start_worker()
    headers = {"Authorization": f"Bearer {stack.api_key()}"}
    with pytest.raises(requests.ConnectionError):
        submit(stack.start_api(die="object"), headers)
    assert stack.all_jobs() == []  # nothing was accepted, and nothing stands in the way of the next try
    answer = submit(stack.start_api(), headers)
    assert all_succeeded(stack, stack.wait_final([answer.json()["id"]], 40))
    assert len(stack.all_jobs()) == 1


def test_twenty_identical_submits_at_once_are_one_job(both: Stack) -> None:
    stack = both
    stack.start_control()
    stack.start_worker()
    headers = {"Authorization": f"Bearer {stack.api_key()}"}
    url = stack.start_api()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: submit(url, headers), range(20)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    (job,) = stack.all_jobs()
    assert {answer.json()["id"] for answer in answers} == {job.id}
    assert sum(not answer.json()["deduplicated"] for answer in answers) == 1
    (done,) = stack.wait_final([job.id], 40)
    assert all_succeeded(stack, [done])
    assert done.attempt == 1


def submit(url: str, headers: dict[str, str]) -> requests.Response:
    """One photo, as a caller does."""
    return requests.post(f"{url}/v1/jobs", headers=headers, files={"photo": ("a.jpg", photo())}, timeout=30)
