"""CPU of one poll and one submit in process: `python -m tests.load.cpu`. No client takes a share of it.

The application is called as gunicorn calls it, on one thread; database and store are files, the broker is real.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from api.app import create_app
from shared.database import key_store, migrate
from shared.database.key_store import Scope
from shared.service import open_database
from shared.settings import ServiceSettings
from tests.golden.recipe import photo
from worker.embedded import embedded_broker

POLLS: Final = 1000
SUBMITS: Final = 200
ROUNDS: Final = 3  # the best one counts: others only add to it
UNLIMITED: Final = "1000000000/minute"


class Caller:
    """Calls a WSGI application with a key."""

    def __init__(self, app: Any, key: str) -> None:
        self._app, self._key = app, key

    def call(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> dict[str, Any]:
        """The answer's JSON; anything but success ends the measurement."""
        status: list[str] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.partition("?")[0],
            "QUERY_STRING": path.partition("?")[2],
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "HTTP_AUTHORIZATION": f"Bearer {self._key}",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)) if body else "",
            "CONTENT_TYPE": content_type if body else "",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        parts = self._app(environ, lambda line, _headers, *_: status.append(line))
        text = b"".join(parts)
        getattr(parts, "close", lambda: None)()
        if not status[0].startswith("2"):
            raise RuntimeError(f"{method} {path}: {status[0]} {text[:300]!r}")
        return dict(json.loads(text or b"{}"))


def milliseconds(call: Callable[[int], object], number: int) -> tuple[float, float]:
    """CPU of the process and time on the clock of one call in ms, of the best of ROUNDS."""
    found = []
    for begin in range(ROUNDS):
        cpu, clock = time.process_time(), time.perf_counter()
        for index in range(number):
            call(begin * number + index)
        found.append((time.process_time() - cpu, time.perf_counter() - clock))
    return min(cpu for cpu, _ in found) / number * 1000, min(clock for _, clock in found) / number * 1000


def prepared(folder: Path, redis_url: str) -> tuple[Caller, str, dict[str, Any]]:
    """A caller, a job to poll, and an upload to submit."""
    settings = ServiceSettings(data_dir=folder, redis_url=redis_url, rate_limit=UNLIMITED)
    database = open_database(settings)
    migrate(database)
    with database.begin() as connection:
        key = key_store.create(connection, "load", "load", list(Scope))[1]
    caller = Caller(create_app(settings), key)
    ask = json.dumps({"content_type": "image/jpeg", "size": 1 << 20}).encode()
    target = caller.call("POST", "/v1/uploads", ask)
    caller.call("PUT", target["url"].partition(":8000")[2], photo(), "image/jpeg")
    source = {"upload": target["id"]}
    return caller, caller.call("POST", "/v1/jobs", json.dumps({"source": source}).encode())["id"], source


def submit(caller: Caller, source: dict[str, Any], number: int) -> None:
    """A job of its own over the same upload."""
    body = {"source": source, "options": {"strength": 0.2 + number * 1e-4}}
    caller.call("POST", "/v1/jobs", json.dumps(body).encode())


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = embedded_broker(folder / "broker")
        with subprocess.Popen(broker.command, stdout=subprocess.DEVNULL) as server:
            try:
                while not broker.is_ready():
                    time.sleep(0.05)
                caller, job_id, source = prepared(folder, broker.url)
                polls = milliseconds(lambda _: caller.call("GET", f"/v1/jobs/{job_id}"), POLLS)
                submits = milliseconds(lambda n: submit(caller, source, n), SUBMITS)
            finally:
                server.kill()
    for what, (cpu, clock) in (("poll", polls), ("submit", submits)):
        print(f"{what}: {cpu:.2f} ms CPU, {clock:.2f} ms on the clock")


if __name__ == "__main__":
    main()
