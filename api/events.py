"""A job's changes as server-sent events: one for each version that we see, until it has ended."""

import time
from collections.abc import Iterator
from typing import Final

from flask import Response, json, request

from api import contract
from api.jobs import find
from api.schemas import JobPath
from api.services import services
from api.waiting import Waiting
from shared.job_view import job_view
from shared.jobs import Job

HEARTBEAT: Final = 10.0  # seconds: proxies close what is silent
LONGEST: Final = 300.0  # seconds of one stream; clients come back by themselves, with Last-Event-ID
RECONNECT: Final = 2000  # milliseconds before they do

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
events = contract.group("events")
_STREAM: Final = {
    "description": "A stream of events: `id` is the job's version, `data` the job as JSON",
    "content": {
        "text/event-stream": {
            "schema": {
                "type": "object",
                "properties": {"event": {"enum": ["job", "deleted"]}, "id": _TEXT, "data": _TEXT, "retry": _NUMBER},
            }
        }
    },
}


@events.get(
    "/jobs/<string:job_id>/events",
    responses={"200": _STREAM},
    openapi_extensions={"parameters": contract.headers(Last_Event_ID="the version that was seen last")},
)
def stream_events(path: JobPath) -> Response:
    """Follow a job until it has ended."""
    job = find(path.job_id)
    seen = _last_seen()
    waiting = services().waiting
    follows = not job.is_final and waiting.enter()
    response = Response(_events(job, seen, waiting if follows else None), mimetype="text/event-stream")
    if follows:
        response.call_on_close(waiting.leave)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    return response


def _events(job: Job, seen: int, waiting: Waiting | None) -> Iterator[str]:
    """Events newer than `seen`; without a place to wait only what is known now, and the client comes back."""
    yield f"retry: {RECONNECT}\n\n"
    end = time.monotonic() + LONGEST
    if job.version > seen:
        yield _event(job)
    while waiting is not None and not job.is_final and time.monotonic() < end:
        changed = waiting.next_version(job, HEARTBEAT)
        if changed is None:
            yield "event: deleted\ndata: {}\n\n"
            return
        yield ": still here\n\n" if changed.version == job.version else _event(changed)
        job = changed


def _event(job: Job) -> str:
    return f"event: job\nid: {job.version}\ndata: {json.dumps(job_view(job))}\n\n"


def _last_seen() -> int:
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
