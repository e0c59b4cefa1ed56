"""What the service carries on this machine: `make load`. Prints a table and writes out/load.json; asserts nothing.

API, broker, worker and database are real processes; the database is SQLite and the store a folder, as `regain up`
has them. Rates are of one machine that does everything, the client included; CPU for a request is less noisy.
"""

import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psutil
import requests
from PIL import Image
from rich.console import Console
from rich.table import Table

from infra.render_demo import render
from shared.jobs import JobStatus
from tests.golden.recipe import photo
from tests.load import clients
from tests.services.stack import Stack, kill_group, marked, wait_for

LONE: Final = 40  # jobs submitted one after another
# Phones' and editors' sizes, 2 to 12 megapixels: with smaller ones, all but the network would be measured.
WIDTHS: Final = (1732, 2449, 3464, 4243)  # pixels, at 3:2
DRAINED: Final = 24  # jobs for one worker, then for two
ROUNDS: Final = 2  # one worker and two in turns; the best of each counts, since others' work only slows
TARGETS: Final = {
    "poll_per_second": ">= 500",
    "poll_p95_ms": "< 20",
    "submit_per_second": ">= 100",
    "submit_p95_ms": "< 50",
    "queue_overhead_ms": "< 20",
    "two_workers_to_one": ">= 1.7",
}


class Service:
    """A running API and a key."""

    def __init__(self, stack: Stack) -> None:
        self.url, self.key = stack.start_api(), stack.api_key()
        self.process = psutil.Process(stack.processes[-1].pid)

    def call(self, method: str, path: str, **named: Any) -> requests.Response:
        """One request; anything but success ends the measurement."""
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.request(method, self.url + path, headers=headers, timeout=30, **named)
        answer.raise_for_status()
        return answer

    def submit(self, number: int) -> str:
        """A photo of its own kind as multipart; the job's id."""
        files = {"photo": ("photo.jpg", marked(photo(), f"plain {number}"), "image/jpeg")}
        return str(self.call("POST", "/v1/jobs", files=files).json()["id"])


def rates(folder: Path) -> dict[str, float]:
    """Polls, and submits that name an upload, without a worker that takes cores away."""
    with Stack(folder, {"REGAIN_RATE_LIMIT": "100000000/minute"}) as stack:
        service = Service(stack)
        polled = f"{service.url}/v1/jobs/{service.submit(0)}"
        polls = clients.measure(service.process, polled, service.key)
        target = service.call("POST", "/v1/uploads", json={"content_type": "image/jpeg", "size": 1 << 20}).json()
        upload(target, marked(photo(), "plain upload"))
        body = '{{"source": {{"upload": "{}"}}, "options": {{"strength": 0.5%d}}}}'.format(target["id"])
        submits = clients.measure(service.process, f"{service.url}/v1/jobs", service.key, body)
    return {
        "poll_per_second": polls.per_second,
        "poll_p95_ms": polls.p95_ms,
        "poll_cpu_ms": polls.cpu_ms,
        "submit_per_second": submits.per_second,
        "submit_p95_ms": submits.p95_ms,
        "submit_cpu_ms": submits.cpu_ms,
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
            job_id = service.submit(number)
            (job,) = stack.wait_final([job_id], 30)
            waits.append(((job.started or 0) - job.created) * 1000)
    return {"queue_overhead_ms": statistics.median(waits)}


def photos() -> list[bytes]:
    """DRAINED photos that differ, of WIDTHS in turns."""
    scene = Image.fromarray(render())
    found = []
    for width in WIDTHS:
        file = io.BytesIO()
        scene.resize((width, width * 2 // 3), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        found.append(file.getvalue())
    return [marked(found[number % len(found)], f"plain {number}") for number in range(DRAINED)]


def drain(folder: Path, workers: int, all_photos: list[bytes]) -> float:
    """Photos a second for so many workers of one thread each, all jobs queued before they start."""
    folder.mkdir()
    with Stack(folder) as stack:
        ids = stack.submit_photos(all_photos)
        started = [stack.start_worker(REGAIN_THREADS="1") for _ in range(workers)]
        # The clock runs once all are warm and have begun.
        stack.wait_final(ids[:workers], 120)
        left = [job for job in stack.jobs(ids) if job.status is JobStatus.QUEUED]
        begun = time.monotonic()
        wait_for(lambda: all(job.is_final for job in stack.jobs(ids)), 300)
        seconds = time.monotonic() - begun
        done = stack.jobs(ids)
        if [(job.attempt, job.status) for job in done] != [(1, JobStatus.SUCCEEDED)] * len(ids):
            raise RuntimeError(f"a job ran more than once, or failed: {done}")
        for process in started:
            kill_group(process)
    return len(left) / seconds


def scaling(folder: Path) -> dict[str, float]:
    """Throughput of one worker and of two."""
    made = photos()
    found: dict[int, list[float]] = {1: [], 2: []}
    for number in range(ROUNDS):
        for workers, rates_of in found.items():
            rates_of.append(drain(folder / f"{number}-{workers}", workers, made))
    one, two = max(found[1]), max(found[2])
    return {"one_worker_per_second": one, "two_workers_per_second": two, "two_workers_to_one": two / one}


def main() -> None:
    """Measure, print, write."""
    console = Console(file=sys.stdout)
    console.print(f"asked by {clients.client()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("rates", "overhead"):
            (folder / part).mkdir()
        found = rates(folder / "rates") | overhead(folder / "overhead") | scaling(folder)
    table = Table("figure", "measured", "target")
    for figure, value in found.items():
        table.add_row(figure, f"{value:.2f}", TARGETS.get(figure, ""))
    console.print(table)
    out = Path("out/load.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
