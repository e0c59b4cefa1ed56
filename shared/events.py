"""What webhooks tell of: the kinds of event, what a payload looks like, and who is the receiver of one."""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from shared.job_view import stamp

VERSION: Final = 1  # of the payload; raised when a field changes its meaning or goes


class EventType(StrEnum):
    """What happened."""

    JOB_QUEUED = "job.queued"
    JOB_RUNNING = "job.running"
    JOB_PROGRESS = "job.progress"  # a stage began
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"  # for good: the job's status says `failed` or `dead`
    JOB_CANCELED = "job.canceled"
    BATCH_PROGRESS = "batch.progress"
    BATCH_COMPLETED = "batch.completed"
    TEST = "webhook.test"  # asked for by the owner of an endpoint; no filter holds it back


SUBSCRIBABLE: Final = tuple(kind for kind in EventType if kind is not EventType.TEST)
# What a job's own webhook is told where it does not say what it wants: how the job ended.
DEFAULT: Final = frozenset({EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELED})


def body(kind: EventType, created: float, data: Mapping[str, Any], base: str) -> bytes:
    """An event's payload; links lead to `base`, since a receiver has no host to which they were relative."""
    links = data.get("links")
    told = dict(data)
    if isinstance(links, Mapping):
        told["links"] = {name: base.rstrip("/") + path for name, path in links.items()}
    payload = {"type": kind.value, "timestamp": stamp(created), "version": VERSION, "data": told}
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def origin_of(tenant: str, url: str) -> str:
    """Who answers at a job's own URL: scheme, host and port, as a short name. Jobs that share it share its fate."""
    parts = urlsplit(url)
    return hashlib.sha256(f"{tenant} {parts.scheme}://{parts.netloc}".lower().encode()).hexdigest()[:32]
