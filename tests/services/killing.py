"""The whole service under a batch, killed part by part at chosen places, and what its processes took."""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests

from shared.batches import Batch
from shared.database import batch_store
from tests.services.stack import Stack, kill_group, wait_for

PARTS: Final = ("api", "worker", "control", "broker", "all")
# A model that costs next to nothing, and a window that keeps one worker busy.
SETTINGS: Final = {
    "REGAIN_MODEL": "naive",
    "REGAIN_THREADS": "1",
    "REGAIN_ALLOW_PRIVATE_URLS": "true",
    "REGAIN_RATE_LIMIT": "1000000/minute",
}


class Service:
    """Everything of a stack; parts die and come back."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = ""
        self.peaks: dict[str, int] = {}  # MB, of each part and its children
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._headers = {"Authorization": f"Bearer {stack.api_key()}"}

    def start(self, *parts: str) -> None:
        """Start parts that do not run."""
        for part in parts:
            if part == "api":
                self.url = self.stack.start_api()
                self._running[part] = self.stack.processes[-1]
            elif part == "worker":
                self._running[part] = self.stack.start_worker()
            elif part == "control":
                self._running[part] = self.stack.start_control()
            else:
                self.stack.start_broker()

    def kill(self, part: str) -> None:
        """As a power cut does; `all` is everything at once, and nothing comes back by itself."""
        self.look()
        for name in ("api", "worker", "control") if part == "all" else (part,):
            if name in self._running:
                kill_group(self._running.pop(name))
        if part in ("broker", "all"):
            self.stack.kill_broker()

    def kill_and_start(self, part: str) -> None:
        """One loss and its repair."""
        self.kill(part)
        self.start(*(("broker", "api", "worker", "control") if part == "all" else (part,)))

    def call(self, method: str, path: str, **named: Any) -> requests.Response:
        """A request with a key."""
        return requests.request(method, self.url + path, headers=self._headers, timeout=60, **named)

    def submit(self, body: Mapping[str, Any]) -> str:
        """POST a batch; its id."""
        answer = self.call("POST", "/v1/batches", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def batch(self, batch_id: str) -> Batch:
        """Its row."""
        with self.stack.database.read() as connection:
            batch = batch_store.get(connection, batch_id)
        assert batch is not None
        return batch

    def wait_done(self, batch_id: str, rows: int, seconds: float) -> None:
        """Until so many rows have an outcome."""

        def done() -> bool:
            self.look()
            batch = self.batch(batch_id)
            time.sleep(0.2)
            return batch.has_ended or (batch.started is not None and batch.total - batch.waiting - batch.queued >= rows)

        wait_for(done, seconds)

    def report(self, batch_id: str) -> list[dict[str, Any]]:
        """Every line of the report."""
        answer = self.call("GET", f"/v1/batches/{batch_id}/report")
        assert answer.ok, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def look(self) -> None:
        """Note the peaks of memory so far."""
        running = {name: process.pid for name, process in self._running.items()}
        if self.stack.server is not None:
            running["broker"] = self.stack.server.pid
        for name, pid in running.items():
            for each in (pid, *_children(pid)):
                self.peaks[name] = max(self.peaks.get(name, 0), peak_of(each))


def peak_of(pid: int) -> int:
    """The largest memory of a process so far, in MB; 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
