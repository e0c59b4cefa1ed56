"""A job's row as JSON: the one shape that the API answers with and that webhooks carry."""

from datetime import UTC, datetime
from typing import Any

from shared.jobs import Job


def job_view(job: Job, *, deduplicated: bool = False) -> dict[str, Any]:
    """A job as callers see it, its links as paths; built by hand because polls are many."""
    here = f"/v1/jobs/{job.id}"
    return {
        "id": job.id,
        "status": job.status.value,
        "queue": job.queue.value,
        "stage": None if job.stage is None else job.stage.value,
        "percent": job.percent,
        "attempt": job.attempt,
        "version": job.version,
        "created": stamp(job.created),
        "started": maybe_stamp(job.started),
        "finished": maybe_stamp(job.finished),
        "expires": maybe_stamp(job.expires),
        "model": job.model,
        "name": job.source_name,
        "options": dict(job.options),
        "metadata": None if job.metadata is None else dict(job.metadata),
        "batch": job.batch,
        "deduplicated": deduplicated or job.deduplicated,
        "error": None if job.error_code is None else {"code": job.error_code, "message": job.error_message or ""},
        "timings": dict(job.timings),
        "result": _result(job),
        "links": {
            "self": here,
            **{
                name: f"{here}/{name}"
                for name in ("events", "result", "base", "gainmap", "mask", "metadata", "cancel", "retry")
            },
        },
    }


def stamp(seconds: float) -> str:
    """RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def maybe_stamp(seconds: float | None) -> str | None:
    """The same of a time that may not have come."""
    return None if seconds is None else stamp(seconds)


def _result(job: Job) -> dict[str, Any] | None:
    if job.result is None:
        return None
    found = job.result
    return {
        "outcome": str(found.get("outcome", "")),
        "size": int(found.get("size", 0)),
        "megapixels": found.get("megapixels"),
        "metadata": found.get("metadata"),
        "audit": list(found.get("audit") or ()),
        "notes": list(found.get("notes") or ()),
        "guided": found.get("guided"),
        "mask": bool(found.get("mask")),
    }
