"""A service of the test's own that speaks the contract over real sockets, and fails on demand."""

import json
import socket
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

KEY = "rgn_0123456789abcdef_secret"
RESULT = bytes(range(256)) * 4000  # 1 MB that any cut shows in


class Cut(Enum):
    """Where a connection breaks."""

    UNREAD = auto()  # before anything was done
    UNANSWERED = auto()  # after it was done, before the answer
    HALFWAY = auto()  # in the middle of the answer's body


@dataclass(frozen=True)
class Refusal:
    """An answer in place of the real one."""

    status: int
    code: str = "refused"
    detail: str = "the test refuses this"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    parts: dict[str, bytes]


class Loopback:
    """Jobs in memory: each poll moves a job one step along `steps`."""

    def __init__(self) -> None:
        self.faults: deque[Cut | Refusal] = deque()
        self.seen: list[Seen] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}
        self.steps: list[dict[str, Any]] = [
            {"status": "running", "stage": "decode", "percent": 20, "attempt": 1},
            {"status": "succeeded", "stage": "store", "percent": 100, "finished": 1764000009.5},
        ]
        self.result_url: str | None = None  # where results are, if not here
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def submit(self, seen: Seen) -> dict[str, Any]:
        """A new job, or the one of the same Idempotency-Key."""
        known = self.by_key.get(seen.headers["idempotency-key"])
        if known is not None:
            return self.jobs[known]
        job_id = f"{len(self.jobs) + 1:032x}"
        self.by_key[seen.headers["idempotency-key"]] = job_id
        self.jobs[job_id] = {
            "id": job_id,
            "status": "queued",
            "queue": "interactive",
            "stage": None,
            "percent": 0,
            "attempt": 0,
            "created": "2026-11-24T20:00:00Z",
            "model": "compact",
            "options": json.loads(seen.parts.get("options", b"{}")),
            "metadata": json.loads(seen.parts.get("metadata", b"null")),
            "deduplicated": False,
            "error": None,
            "timings": {},
            "links": {"self": f"/v1/jobs/{job_id}"},
        }
        return self.jobs[job_id]

    def answer(self, seen: Seen) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers for a request."""
        if seen.path == "/object":
            return 200, RESULT, {}
        if seen.headers.get("authorization") != f"Bearer {KEY}":
            return _problem(401, "unauthorized", "no such key; make one with `regain keys create`")
        parts = seen.path.strip("/").split("/")
        if parts == ["v1", "audit"]:
            return 200, {"ok": True, "findings": [], "bytes": len(seen.parts["photo"])}, {}
        if parts == ["v1", "jobs"]:
            return (202, self.submit(seen), {}) if seen.method == "POST" else (200, self._page(seen), {})
        job = self.jobs.get(parts[2])
        if job is None:
            return _problem(404, "unknown_job", f"no job {parts[2]}; list yours with GET /v1/jobs")
        return self._one(seen.method, job, parts[3:])

    def _one(self, method: str, job: dict[str, Any], rest: list[str]) -> tuple[int, Any, dict[str, str]]:
        if method == "DELETE":
            del self.jobs[job["id"]]
            return 204, b"", {}
        if rest == ["cancel"]:
            job.update(status="canceled")
        elif rest == ["retry"]:
            job.update(status="queued")
        elif rest and job["status"] != "succeeded":
            return _problem(409, "not_ready", f"job {job['id']} is {job['status']}; wait for it")
        elif rest:
            return 302, b"", {"Location": f"{self.result_url or self.url}/object"}
        else:
            known = job.setdefault("_steps", deque(self.steps))
            if known:
                job.update(known.popleft())
        return 200, {name: value for name, value in job.items() if name != "_steps"}, {}

    def _page(self, seen: Seen) -> dict[str, Any]:
        start = int(seen.query.get("cursor", 0))
        found = [job for job in self.jobs.values() if seen.query.get("state", job["status"]) == job["status"]]
        shown = [{name: value for name, value in job.items() if name != "_steps"} for job in found]
        return {"jobs": shown[start : start + 2], "next": str(start + 2) if start + 2 < len(found) else None}


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
        """Nothing on the test's standard error."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.service.faults.popleft() if self.server.service.faults else None
        if fault is Cut.UNREAD:
            self._break()
            return
        split = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        seen = Seen(self.command, split.path, query, headers, _parts(headers, body))
        self.server.service.seen.append(seen)
        if isinstance(fault, Refusal):
            status, value, extra = _problem(fault.status, fault.code, fault.detail)
            value, extra = (value if fault.body is None else fault.body), {**extra, **fault.headers}
        else:
            status, value, extra = self.server.service.answer(seen)
        if fault is Cut.UNANSWERED:
            self._break()
            return
        self._reply(status, value, extra, halfway=fault is Cut.HALFWAY)

    def _reply(self, status: int, value: Any, extra: dict[str, str], *, halfway: bool) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **extra}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if halfway else data)
        if halfway:
            self._break()

    def _break(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    def __init__(self, service: Loopback) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service


def _problem(status: int, code: str, detail: str) -> tuple[int, Any, dict[str, str]]:
    value = {"type": f"urn:regain:{code}", "title": code, "status": status, "code": code, "detail": detail}
    return status, value, {"Content-Type": "application/problem+json"}


def _parts(headers: Mapping[str, str], body: bytes) -> dict[str, bytes]:
    """A multipart body's parts by their names, read by the standard library's mail parser."""
    kind = headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return {}
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    found = {}
    for part in message.iter_parts():
        found[str(part.get_param("name", header="content-disposition"))] = bytes(part.get_payload(decode=True))
    return found


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
