"""Who asks while rates are measured: wrk, which takes little of the machine, or threads where it is not at hand."""

import json
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import requests

SECONDS: Final = 8  # of each measurement
CLIENTS: Final = 8  # connections that ask at once, each for the next answer once it has the last
SCRIPT: Final = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True, slots=True)
class Rate:
    """What so many clients at once got."""

    per_second: float
    p95_ms: float
    cpu_ms: float  # of the asked processes, for one request


def client() -> str:
    """The name of what asks."""
    return "wrk" if shutil.which("wrk") else "threads of Python, which take a share of the same cores (apt: wrk)"


def measure(server: psutil.Process, url: str, key: str, body: str | None = None) -> Rate:
    """GET an address again and again, or POST a JSON body whose `%d` is another number each time.

    Raises:
        RuntimeError: a request failed.
    """
    before = cpu_seconds(server)
    per_second, p95_ms, asked = (_wrk if shutil.which("wrk") else _threads)(url, key, body)
    return Rate(per_second, p95_ms, (cpu_seconds(server) - before) * 1000 / asked)


def cpu_seconds(server: psutil.Process) -> float:
    """What a server and its processes have used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in [server, *server.children(recursive=True)])


def _wrk(url: str, key: str, body: str | None) -> tuple[float, float, int]:
    command = ["wrk", "--threads=1", f"--connections={CLIENTS}", f"--duration={SECONDS}s", f"--script={SCRIPT}", url]
    arguments = [key] if body is None else [key, body]
    done = subprocess.run([*command, "--", *arguments], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failed"]:
        raise RuntimeError(f"{url}: {found['failed']} of {found['requests']} requests failed")
    return found["per_second"], found["p95_ms"], found["requests"]


def _threads(url: str, key: str, body: str | None) -> tuple[float, float, int]:
    took: list[float] = []
    faults: list[Exception] = []
    numbers = iter(range(10**7))
    end = time.monotonic() + SECONDS

    def ask(call: Callable[[], requests.Response]) -> None:
        while time.monotonic() < end and not faults:
            begun = time.perf_counter()
            try:
                call().raise_for_status()
            except requests.RequestException as fault:
                faults.append(fault)
            took.append(time.perf_counter() - begun)

    def one_client() -> None:
        with requests.Session() as session:
            session.headers.update({"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
            if body is None:
                ask(lambda: session.get(url, timeout=30))
            else:
                ask(lambda: session.post(url, body.replace("%d", f"{next(numbers):07d}"), timeout=30))

    threads = [threading.Thread(target=one_client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(f"{url}: a request failed") from faults[0]
    return len(took) / SECONDS, statistics.quantiles(took, n=20)[-1] * 1000, len(took)
