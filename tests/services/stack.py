"""The real processes of the service, to be killed: broker, workers and control loop over chosen stores."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import redis
import requests

from shared.broker import BrokerUnavailableError, Publisher
from shared.database import job_store, key_store, migrate
from shared.database.key_store import Scope
from shared.jobs import Job, JobStatus, Queue
from shared.service import open_database, open_store
from shared.settings import ServiceSettings
from tests.golden.recipe import photo
from worker.cli.up import gunicorn
from worker.embedded import embedded_broker, free_port

ROOT = Path(__file__).parents[2]
# Short spans, so that a repair takes seconds: lease, looks, and (three times the limit) the broker's own patience.
QUICK = {
    "REGAIN_LEASE_SECONDS": "5",
    "REGAIN_RECONCILE_SECONDS": "1",
    "REGAIN_STRANDED_SECONDS": "3",
    "REGAIN_TASK_TIME_LIMIT": "20",
}


class Stack:
    """Everything but the API; jobs are put in as the API does: object, row and message, then published."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._broker = embedded_broker(folder / "broker")
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("REGAIN_")},
            "PYTHONPATH": str(ROOT),
            "REGAIN_DATA_DIR": str(folder),
            "REGAIN_REDIS_URL": self._broker.url,
            "REGAIN_MODELS_DIR": str(folder / "models"),
            **QUICK,
            **(environment or {}),
        }
        names = {
            k.removeprefix("REGAIN_").lower(): json.loads(v) if v.startswith("[") else v
            for k, v in self._environment.items()
            if k.startswith("REGAIN_")
        }
        self.settings = ServiceSettings(**names)  # type: ignore[arg-type]
        self.database, self.store = open_database(self.settings), open_store(self.settings)
        self.publisher = Publisher(self.settings)
        self.redis = redis.Redis.from_url(self._broker.url)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.server: subprocess.Popen[bytes] | None = None
        self.log = (folder / "processes.log").open("ab")

    def __enter__(self) -> Self:
        migrate(self.database)
        self.start_broker()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            kill_group(process)
        if self.server is not None:
            self.server.kill()
            self.server.wait()
        self.redis.close()
        self.database.dispose()
        self.log.close()

    def start_broker(self) -> None:
        """Start the broker, over what an earlier one left."""
        self.server = subprocess.Popen(self._broker.command, stdout=self.log, stderr=self.log)
        wait_for(self._broker.is_ready, 10)

    def kill_broker(self) -> None:
        """As a power cut does."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def start(
        self, *arguments: str, module: str = "worker.cli.main", environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one process of the service in a group of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**self._environment, **(environment or {})},
            cwd=ROOT,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """A worker whose photos may misbehave, see `tests.services.faulty_worker`; returns once it serves."""
        before = self._workers()
        process = self.start(
            "--queues", "interactive,bulk", module="tests.services.faulty_worker", environment=environment
        )
        wait_for(lambda: len(self._workers()) > len(before), 30)
        return process

    def start_control(self) -> subprocess.Popen[bytes]:
        """A control loop."""
        return self.start("worker", "--control")

    def start_api(self, *, die: str | None = None, port: int | None = None) -> str:
        """The API as `regain up` starts it; where it answers. `die`: see `tests.services.faulty_api`."""
        port = port or free_port()
        arguments = gunicorn(port, self.settings.api_processes)[1:]
        if die is not None:
            arguments[0] = "tests.services.faulty_api:app"
        url = f"http://127.0.0.1:{port}"
        environment = {"DIE": die or "", "REGAIN_PUBLIC_URL": url}
        process = self.start(*arguments, module="gunicorn", environment=environment)
        wait_for(lambda: process.poll() is None and answers(url), 30)
        return url

    def api_key(self, *scopes: Scope, tenant: str = "tests") -> str:
        """A new key; every scope unless some are named."""
        with self.database.begin() as connection:
            return key_store.create(connection, tenant, "test", scopes or tuple(Scope))[1]

    def submit(self, *behaviours: str) -> list[str]:
        """One job a behaviour: `plain`, `slow`, `poison`."""
        return self.submit_photos(
            [marked(photo(), f"{behaviour} {number} {time.time()}") for number, behaviour in enumerate(behaviours)]
        )

    def submit_photos(self, photos: Sequence[bytes]) -> list[str]:
        """One job a photo, all of them stored before the first is published."""
        jobs = []
        for data in photos:
            key = f"uploads/{hashlib.sha256(data).hexdigest()}"
            self.store.put(key, io.BytesIO(data), "image/jpeg", 1 << 26)
            job = new_job(key)
            with self.database.begin() as connection:
                assert job_store.add(connection, job, fingerprint=job.id)
            jobs.append(job)
        for job in jobs:
            self.publish(job)
        return [job.id for job in jobs]

    def publish(self, job: Job) -> None:
        """As the API does: at once, and left to the dispatcher where the broker is away."""
        try:
            self.publisher.publish(job.id, job.queue)
        except BrokerUnavailableError:
            return
        with self.database.begin() as connection:
            job_store.mark_published(connection, [job.id], time.time())

    def jobs(self, ids: Sequence[str]) -> list[Job]:
        """The rows."""
        with self.database.read() as connection:
            found = [job_store.get(connection, job_id) for job_id in ids]
        return [job for job in found if job is not None]

    def all_jobs(self) -> list[Job]:
        """Every row of the tests' tenant."""
        with self.database.read() as connection:
            return job_store.page(connection, "tests", limit=200)

    def wait_running(self, job_id: str, seconds: float = 20) -> Job:
        """Until a worker is in the middle of it."""
        wait_for(lambda: self.jobs([job_id])[0].status is JobStatus.RUNNING, seconds)
        return self.jobs([job_id])[0]

    def wait_final(self, ids: Sequence[str], seconds: float) -> list[Job]:
        """Until nothing more will happen to any of them."""
        wait_for(lambda: all(job.is_final for job in self.jobs(ids)), seconds)
        return self.jobs(ids)

    def _workers(self) -> set[str]:
        text = (self.folder / "processes.log").read_text(errors="replace")
        return {line for line in text.splitlines() if " ready." in line}


def new_job(source_key: str) -> Job:
    """A job as the API would make it."""
    now = time.time()
    return Job(
        id=job_store.new_id(),
        tenant="tests",
        status=JobStatus.QUEUED,
        queue=Queue.INTERACTIVE,
        created=now,
        updated=now,
        version=1,
        source_key=source_key,
        source_name="photo.jpg",
        original_key=None,
        result_key=source_key.replace("uploads/", "results/") + "/plain.jpg",
        model="compact",
        options={},
        metadata=None,
        webhook=None,
        batch=None,
        retention=3600.0,
    )


def marked(jpeg: bytes, words: str) -> bytes:
    """The photo with a comment segment behind its SOI."""
    comment = words.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def answers(url: str) -> bool:
    """Whether the API is alive."""
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def kill_group(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> None:
    """A signal to a process and all its children at once."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
    if number is signal.SIGKILL:
        process.wait()


def wait_for(condition: object, seconds: float) -> float:
    """Until a condition holds; how long it took."""
    assert callable(condition)
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.05)
    return time.monotonic() - begun
