"""Batches as the service shows them to its callers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.batches import FINAL, BatchStatus
from shared.remote_job import parsed, time_of, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteBatch:
    """A batch as the service shows it. Times are seconds since 1970, UTC."""

    id: str
    name: str | None
    status: BatchStatus
    created: float | None
    started: float | None
    finished: float | None
    counts: Mapping[str, int]  # rows by state or outcome, and `total`
    rate: float | None  # rows a second of late
    eta: float | None  # seconds
    error_code: str | None
    error_message: str | None
    answer: Mapping[str, Any]  # all of it, as the service wrote it

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it by itself, and its report can be fetched."""
        return self.status in FINAL and self.finished is not None


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, and the cursor of the next page if there is one."""

    batches: tuple[RemoteBatch, ...]
    next: str | None


def parse_batch(answer: Mapping[str, Any]) -> RemoteBatch:
    """A batch out of the service's JSON; fields that this client does not know stay in `answer`.

    Raises:
        ClientError: `bad_answer`.
    """
    return parsed(answer, "batch", BatchStatus, _built)


def parse_batch_page(answer: Mapping[str, Any]) -> BatchPage:
    """A page of batches out of the service's JSON.

    Raises:
        ClientError: `bad_answer`.
    """
    return BatchPage(tuple(parse_batch(batch) for batch in value_of(answer, "batches")), answer.get("next"))


def _built(status: BatchStatus, answer: Mapping[str, Any]) -> RemoteBatch:
    error = answer.get("error") or {}
    return RemoteBatch(
        id=str(value_of(answer, "id")),
        name=answer.get("name"),
        status=status,
        created=time_of(answer.get("created")),
        started=time_of(answer.get("started")),
        finished=time_of(answer.get("finished")),
        counts={str(name): int(number) for name, number in value_of(answer, "counts").items()},
        rate=answer.get("rate"),
        eta=answer.get("eta"),
        error_code=error.get("code"),
        error_message=error.get("message"),
        answer=answer,
    )
