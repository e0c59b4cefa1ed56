"""The record of one job: pure values, and the table of what may follow what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # accepted; a worker will take it
    RUNNING = "running"  # a worker holds its lease
    SUCCEEDED = "succeeded"  # the result is stored
    FAILED = "failed"  # the input is at fault: the same job would fail again
    CANCELED = "canceled"  # its owner called it off
    DEAD = "dead"  # our side failed it as often as is allowed; an operator or `retry` may put it back


# What may follow what. Everything that changes a state goes through this table.
TRANSITIONS: Final[Mapping[JobStatus, frozenset[JobStatus]]] = MappingProxyType(
    {
        JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELED, JobStatus.DEAD}),
        JobStatus.RUNNING: frozenset(
            {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.DEAD, JobStatus.QUEUED}
        ),
        JobStatus.SUCCEEDED: frozenset(),
        JobStatus.FAILED: frozenset({JobStatus.QUEUED}),
        JobStatus.CANCELED: frozenset({JobStatus.QUEUED}),
        JobStatus.DEAD: frozenset({JobStatus.QUEUED}),
    }
)
FINAL: Final = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.DEAD})


class Queue(StrEnum):
    """A list in the broker; never priorities, so that one kind of work cannot hold up another."""

    INTERACTIVE = "interactive"
    BULK = "bulk"
    WEBHOOKS = "webhooks"
    CONTROL = "control"


class Stage(StrEnum):
    """What a worker is doing to a job, in this order."""

    FETCH = "fetch"
    DECODE = "decode"
    PREDICT = "predict"
    ENCODE = "encode"
    ASSEMBLE = "assemble"
    VERIFY = "verify"
    STORE = "store"


# Percent done when a stage begins; the network is most of the work.
PERCENT: Final[Mapping[Stage, int]] = MappingProxyType(
    {
        Stage.FETCH: 0,
        Stage.DECODE: 5,
        Stage.PREDICT: 20,
        Stage.ENCODE: 80,
        Stage.ASSEMBLE: 90,
        Stage.VERIFY: 92,
        Stage.STORE: 96,
    }
)


_RESULT: Final = ".jpg"
_MASK: Final = ".mask.png"


def mask_key_of(result_key: str) -> str:
    """Where the mask of a guided result lies: beside it, so that whatever decides the one decides the other."""
    return f"{result_key.removesuffix(_RESULT)}{_MASK}"


def owner_of(key: str) -> str:
    """The object that another one comes and goes with: a mask's result; any other object is its own."""
    return f"{key.removesuffix(_MASK)}{_RESULT}" if key.endswith(_MASK) else key


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One photo to restore, as the SQL row says. Times are seconds since 1970, UTC."""

    id: str  # 32 hex digits, in order of creation
    tenant: str  # whose it is; another tenant's job does not exist
    status: JobStatus
    queue: Queue
    created: float
    updated: float
    version: int  # grows with every change; what ETag and the event stream count by
    source_key: str  # the photo's object
    source_name: str | None  # what its owner called it; used for the result's name
    original_key: str | None  # the HDR original's object, for guided restoration
    result_key: str  # where the result goes: decided by content, model and parameters
    model: str
    options: Mapping[str, Any]  # as submitted
    metadata: Mapping[str, Any] | None  # the owner's own, given back as it came
    webhook: Mapping[str, Any] | None  # {url, events} of this job alone
    batch: str | None
    stage: Stage | None = None
    percent: int = 0
    attempt: int = 0  # claims so far
    started: float | None = None  # of the latest attempt
    finished: float | None = None
    expires: float | None = None  # when retention removes its objects
    lease_until: float | None = None
    holder: str | None = None  # `host/pid` of the process that holds the lease
    error_code: str | None = None
    error_message: str | None = None
    deduplicated: bool = False  # answered with a result that was already stored
    retention: float | None = None  # seconds that its objects are kept once it is final
    result: Mapping[str, Any] | None = None  # outcome, metadata, audit, notes, size
    timings: Mapping[str, float] = field(default_factory=dict)  # seconds by stage

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in FINAL
