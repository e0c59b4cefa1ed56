"""Batches through the service at their promised size: a million rows read, thousands killed five times, real photos.

`python -m tests.load.batches --rows 1000000 --killed 10000 --photos FOLDER --count 300`; each part can be left out.
"""

import argparse
import io
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import requests

from shared.batches import BatchStatus
from shared.database import job_store
from tests.golden.recipe import photo
from tests.services.killing import PARTS, SETTINGS, Service
from tests.services.photos import photo_server
from tests.services.stack import Stack, marked

PATIENCE: Final = 3600.0  # seconds for any part of a run
PROBE: Final = 2.0  # seconds between two interactive photos


def validate(rows: int, folder: Path) -> dict[str, Any]:
    """A manifest is uploaded and read; nothing is restored."""
    manifest = folder / "rows.jsonl"
    with manifest.open("w") as stream:
        for number in range(rows):
            row = {"source": f"s3://lib/{number % 97}/{number}.jpg", "metadata": {"n": number}}
            stream.write("{bad\n" if number % 1000 == 999 else json.dumps(row) + "\n")
    # Buckets that need not answer: nothing is fetched before all rows are read.
    settings = SETTINGS | {"REGAIN_OUTPUT_BUCKETS": '["lib"]', "REGAIN_SOURCE_BUCKETS": '["lib"]'}
    with Stack(folder / "stack", settings) as stack:
        service = Service(stack)
        service.start("api", "control")
        begun = time.monotonic()
        batch_id = service.submit({"manifest": {"upload": upload(service, manifest)}, "output": {"prefix": "lib/out"}})
        accepted = time.monotonic()
        while service.batch(batch_id).status is BatchStatus.VALIDATING:
            service.look()
            time.sleep(0.2)
        batch = service.batch(batch_id)
        seconds = time.monotonic() - accepted
        assert (batch.total, batch.failed >= rows // 1000) == (rows, True), batch
        service.look()
    return {
        "rows": rows,
        "upload_and_accept_seconds": round(accepted - begun, 1),
        "validation_seconds": round(seconds, 1),
        "memory_peak_mb": service.peaks,
    }


def upload(service: Service, manifest: Path) -> str:
    """Send a manifest as POST /v1/uploads says; its id."""
    target = service.call("POST", "/v1/uploads", json={"content_type": "application/x-ndjson"}).json()
    with manifest.open("rb") as stream:
        requests.put(target["url"], data=stream, headers=target["headers"], timeout=600).raise_for_status()
    return str(target["id"])


def kill_many(rows: int, folder: Path) -> dict[str, Any]:
    """Generated photos and a model that costs nothing; each part is killed in turn while others ask for photos."""
    manifest = folder / "rows.jsonl"
    with photo_server() as photos, Stack(folder / "stack", SETTINGS) as stack:
        manifest.write_text("".join(json.dumps({"source": f"{photos}/{n}.jpg"}) + "\n" for n in range(rows)))
        service = Service(stack)
        service.start("api", "worker", "control")
        begun = time.monotonic()
        batch_id = service.submit({"manifest": {"upload": upload(service, manifest)}})
        with Prober(service) as prober:
            for turn, part in enumerate(PARTS, 1):
                service.wait_done(batch_id, rows * turn // (len(PARTS) + 1), PATIENCE)
                prober.pause()
                service.kill_and_start(part)
                prober.resume()
            service.wait_done(batch_id, rows + 1, PATIENCE)
        seconds = time.monotonic() - begun
        lines, batch = service.report(batch_id), service.batch(batch_id)
        assert [line["line"] for line in lines] == list(range(1, rows + 1))
        assert Counter(line["outcome"] for line in lines) == {"restored": rows}, batch
        assert (batch.total, batch.restored, batch.waiting, batch.queued) == (rows, rows, 0, 0)
    return {
        "rows": rows,
        "kills": len(PARTS),
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds, 1),
        "memory_peak_mb": service.peaks,
        **prober.found(stack),
        "image_seconds_median": round(statistics.median(line["seconds"] for line in lines), 3),
    }


def restore_real(folder_of: Path, pattern: str, count: int, folder: Path) -> dict[str, Any]:
    """Real photos end to end with the default model, while interactive ones are asked for."""
    files = sorted(folder_of.resolve().rglob(pattern))[:count]
    settings = {name: value for name, value in SETTINGS.items() if name not in ("REGAIN_MODEL", "REGAIN_THREADS")}
    with Stack(folder / "stack", settings) as stack:
        service = Service(stack)
        service.start("api", "worker", "control")
        ids = []
        for file in files:
            target = service.call("POST", "/v1/uploads", json={"content_type": "image/jpeg"}).json()
            requests.put(target["url"], data=file.read_bytes(), headers=target["headers"], timeout=60)
            ids.append(target["id"])
        rows = "".join(
            json.dumps({"source": f"upload:{upload_id}", "options": {"replace": True}}) + "\n" for upload_id in ids
        )
        begun = time.monotonic()
        batch_id = service.submit({"manifest": {"inline": rows}})
        with Prober(service) as prober:
            service.wait_done(batch_id, len(files) + 1, PATIENCE)
        seconds = time.monotonic() - begun
        lines = service.report(batch_id)
        spent = _processor_seconds(stack, batch_id)
    return {
        "rows": len(lines),
        "outcomes": Counter(line["outcome"] for line in lines),
        "seconds": round(seconds, 1),
        "images_per_core_minute": round(60 * len(lines) / spent, 1),
        "image_seconds_median": round(statistics.median(line["seconds"] or 0 for line in lines), 3),
        **prober.found(stack),
        "memory_peak_mb": service.peaks,
    }


def _processor_seconds(stack: Stack, batch_id: str) -> float:
    """Of the workers, over the jobs of a batch."""
    spent, before = 0.0, None
    while True:
        with stack.database.read() as connection:
            page = job_store.page(connection, "tests", before=before, limit=200)
        spent += sum(job.timings.get("cpu", 0.0) for job in page if job.batch == batch_id)
        if len(page) < 200:
            return spent
        before = (page[-1].created, page[-1].id)


class Prober:
    """Asks for a photo now and then, as somebody at a screen does; how long each waits for a worker."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ids: list[str] = []
        self._stop, self._go = threading.Event(), threading.Event()
        self._go.set()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Prober":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._go.set()
        self._thread.join()

    def pause(self) -> None:
        """A part is about to die: what is asked now is repaired, not waited for."""
        self._go.clear()
        time.sleep(PROBE)

    def resume(self) -> None:
        """Everything is there again."""
        self._go.set()

    def found(self, stack: Stack) -> dict[str, Any]:
        """Waits from commit to the first claim, of those that were claimed once."""
        waits = sorted(
            job.started - job.created for job in stack.jobs(self._ids) if job.started is not None and job.attempt == 1
        )
        if len(waits) < 2:
            return {"interactive": len(waits)}
        quantiles = statistics.quantiles(waits, n=20)
        return {
            "interactive": len(waits),
            "interactive_wait_median": round(statistics.median(waits), 3),
            "interactive_wait_p95": round(quantiles[-1], 3),
            "interactive_wait_max": round(waits[-1], 3),
        }

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(PROBE):
            self._go.wait()
            number += 1
            files = {"photo": ("photo.jpg", io.BytesIO(marked(photo(), f"probe {number}")), "image/jpeg")}
            try:
                answer = self._service.call("POST", "/v1/jobs", files=files)
            except requests.RequestException:
                continue
            if answer.ok:
                self._ids.append(str(answer.json()["id"]))


def main() -> None:
    """Print one line of JSON a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=0, help="of the manifest that is validated")
    parser.add_argument("--killed", type=int, default=0, help="rows of the run that is killed five times")
    parser.add_argument("--photos", type=Path, help="folder of real photos")
    parser.add_argument("--glob", default="*.sdr.jpg", help="which of its files")
    parser.add_argument("--count", type=int, default=300, help="of real photos")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        parts = {part: Path(name, part) for part in ("validated", "killed", "real")}
        for folder in parts.values():
            (folder / "stack").mkdir(parents=True)
        if wanted.rows:
            print(json.dumps({"validated": validate(wanted.rows, parts["validated"])}), flush=True)
        if wanted.killed:
            print(json.dumps({"killed": kill_many(wanted.killed, parts["killed"])}), flush=True)
        if wanted.photos:
            print(
                json.dumps({"real": restore_real(wanted.photos, wanted.glob, wanted.count, parts["real"])}), flush=True
            )


if __name__ == "__main__":
    main()
