"""What the service carries on this machine: `make load`. Prints a table and writes out/load.json; asserts nothing.

API, broker, worker and database are real processes; the database is SQLite and the store a folder, as `regain up`
has them. Rates are of one machine that does everything, the clients included.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import requests
from rich.console import Console
from rich.table import Table

from shared.jobs import JobStatus
from tests.golden.recipe import photo
from tests.services.stack import Stack, kill_group, marked, wait_for

SECONDS: Final = 8.0  # of each measurement of a rate
CLIENTS: Final = 8  # threads that call at once
DRAINED: Final = 200  # jobs for one worker, then for two
LONE: Final = 40  # jobs submitted one after another
TARGETS: Final = {
    "poll_per_second": ">= 500",
    "poll_p95_ms": "< 20",
    "submit_per_second": ">= 100",
    "submit_p95_ms": "< 50",
    "queue_overhead_ms": "< 20",
    "two_workers_to_one": ">= 1.7",
}


class Service:
    """A running API and a session a thread."""

    def __init__(self, stack: Stack) -> None:
        self.url = stack.start_api()
        self._headers = {"Authorization": f"Bearer {stack.api_key()}"}
        self._local = threading.local()

    def call(self, method: str, path: str, **named: Any) -> requests.Response:
        """One request over this thread's connection; anything but success ends the measurement."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.headers.update(self._headers)
        answer: requests.Response = self._local.session.request(method, self.url + path, timeout=30, **named)
        answer.raise_for_status()
        return answer

    def submit(self, number: int, options: dict[str, Any]) -> str:
        """A photo of its own kind as multipart; the job's id."""
        files = {"photo": ("photo.jpg", marked(photo(), f"plain {number}"), "image/jpeg")}
        answer = self.call("POST", "/v1/jobs", files=files, data={"options": json.dumps(options)})
        return str(answer.json()["id"])


def rate(call: Callable[[int], object]) -> tuple[float, float]:
    """Calls a second over SECONDS with CLIENTS threads, and the 95th percentile of one call in ms."""
    took: list[float] = []
    numbers = iter(range(10**9))
    end = time.monotonic() + SECONDS

    def client() -> None:
        while time.monotonic() < end:
            begun = time.perf_counter()
            call(next(numbers))
            took.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / SECONDS, statistics.quantiles(took, n=20)[-1] * 1000


def rates(folder: Path) -> dict[str, float]:
    """Polls, and submits that name an upload, without a worker that takes cores away."""
    with Stack(folder, {"REGAIN_RATE_LIMIT": "1000000/minute"}) as stack:
        service = Service(stack)
        job_id = service.submit(0, {})
        polls, poll_p95 = rate(lambda _: service.call("GET", f"/v1/jobs/{job_id}"))
        target = service.call("POST", "/v1/uploads", json={"content_type": "image/jpeg", "size": 1 << 20}).json()
        upload(target, marked(photo(), "plain upload"))
        source = {"upload": target["id"]}
        submits, submit_p95 = rate(
            lambda n: service.call("POST", "/v1/jobs", json={"source": source, "options": {"strength": 0.5 + n * 1e-5}})
        )
    return {
        "poll_per_second": polls,
        "poll_p95_ms": poll_p95,
        "submit_per_second": submits,
        "submit_p95_ms": submit_p95,
    }


def upload(target: dict[str, Any], data: bytes) -> None:
    """Send a photo straight to the store, as the API said."""
    if target["method"] == "POST":
        answer = requests.post(target["url"], data=target["fields"], files={"file": data}, timeout=30)
    else:
        answer = requests.put(target["url"], data=data, headers=target["headers"], timeout=30)
    answer.raise_for_status()


def overhead(folder: Path) -> dict[str, float]:
    """From commit to claim, for jobs that come one at a time."""
    with Stack(folder) as stack:
        service = Service(stack)
        stack.start_worker()
        waits = []
        for number in range(LONE):
            job_id = service.submit(number, {})
            (job,) = stack.wait_final([job_id], 30)
            waits.append(((job.started or 0) - job.created) * 1000)
    return {"queue_overhead_ms": statistics.median(waits)}


def drain(folder: Path, workers: int) -> float:
    """Jobs a second for so many workers of one thread each, all jobs queued before they start."""
    with Stack(folder) as stack:
        ids = stack.submit(*["plain"] * DRAINED)
        # Warm before the clock runs: they start on a list that is then filled again.
        started = [stack.start_worker(REGAIN_THREADS="1") for _ in range(workers)]
        stack.wait_final(ids[:5], 60)
        left = [job for job in stack.jobs(ids) if job.status is JobStatus.QUEUED]
        begun = time.monotonic()
        wait_for(lambda: all(job.is_final for job in stack.jobs(ids)), 300)
        seconds = time.monotonic() - begun
        attempts = [job.attempt for job in stack.jobs(ids)]
        if attempts != [1] * DRAINED:
            raise RuntimeError(f"a job ran more than once: {attempts}")
        for process in started:
            kill_group(process)
    return len(left) / seconds


def main() -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("rates", "overhead", "one", "two"):
            (folder / part).mkdir()
        found = rates(folder / "rates") | overhead(folder / "overhead")
        one, two = drain(folder / "one", 1), drain(folder / "two", 2)
    found |= {"one_worker_per_second": one, "two_workers_per_second": two, "two_workers_to_one": two / one}
    table = Table("figure", "measured", "target")
    for figure, value in found.items():
        table.add_row(figure, f"{value:.1f}", TARGETS.get(figure, ""))
    Console(file=sys.stdout).print(table)
    out = Path("out/load.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
