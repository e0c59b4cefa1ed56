"""Jobs as the service shows them to its callers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from shared.errors import ClientError
from shared.jobs import FINAL, JobStatus

State = TypeVar("State", bound=StrEnum)
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJob:
    """A job as the service shows it. Times are seconds since 1970, UTC."""

    id: str
    status: JobStatus
    queue: str
    stage: str | None
    percent: int
    attempt: int
    created: float | None
    started: float | None
    finished: float | None
    expires: float | None
    model: str
    deduplicated: bool
    error_code: str | None
    error_message: str | None
    answer: Mapping[str, Any]  # all of it, as the service wrote it

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and the cursor of the next page if there is one."""

    jobs: tuple[RemoteJob, ...]
    next: str | None


def parse_job(answer: Mapping[str, Any]) -> RemoteJob:
    """A job out of the service's JSON; fields that this client does not know stay in `answer`.

    Raises:
        ClientError: `bad_answer`.
    """
    return parsed(answer, "job", JobStatus, _built)


def parsed(
    answer: Mapping[str, Any], noun: str, states: type[State], build: Callable[[State, Mapping[str, Any]], Parsed]
) -> Parsed:
    """What `build` makes of an answer whose `status` is one of `states`.

    Raises:
        ClientError: `bad_answer`.
    """
    status = str(value_of(answer, "status"))
    if status not in set(states):
        raise ClientError("bad_answer", 200, f"{noun} state {status!r} is unknown to this client; update it")
    try:
        return build(states(status), answer)
    except (TypeError, ValueError, AttributeError) as fault:
        raise ClientError(
            "bad_answer", 200, f"the service's answer has an odd value ({fault}); are client and service one version?"
        ) from fault


def parse_page(answer: Mapping[str, Any]) -> Page:
    """A page of jobs out of the service's JSON.

    Raises:
        ClientError: `bad_answer`.
    """
    return Page(tuple(parse_job(job) for job in value_of(answer, "jobs")), answer.get("next"))


def value_of(answer: Mapping[str, Any], name: str) -> Any:
    """A field that every answer has.

    Raises:
        ClientError: `bad_answer`.
    """
    try:
        return answer[name]
    except (KeyError, TypeError):
        raise ClientError(
            "bad_answer", 200, f"the service's answer lacks {name!r}; are client and service one version?"
        ) from None


def _built(status: JobStatus, answer: Mapping[str, Any]) -> RemoteJob:
    error = answer.get("error") or {}
    times = {name: time_of(answer.get(name)) for name in ("created", "started", "finished", "expires")}
    return RemoteJob(
        id=str(value_of(answer, "id")),
        status=status,
        queue=str(answer.get("queue", "")),
        stage=answer.get("stage"),
        percent=int(answer.get("percent") or 0),
        attempt=int(answer.get("attempt") or 0),
        model=str(answer.get("model", "")),
        deduplicated=bool(answer.get("deduplicated")),
        error_code=error.get("code"),
        error_message=error.get("message"),
        answer=answer,
        **times,
    )


def time_of(value: object) -> float | None:
    """Seconds since 1970, of the same or of an RFC 3339 text."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    return float(value) if isinstance(value, int | float) else None
