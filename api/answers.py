"""What answers look like; they document, and are built by hand, because polls are many."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import JobId
from shared.jobs import JobStatus, Queue, Stage


class FaultView(BaseModel):
    """Why a job has not succeeded, or not yet."""

    code: str
    message: str


class FindingView(BaseModel):
    """One finding of our auditor."""

    model_config = ConfigDict(extra="allow")
    code: str
    severity: Literal["error", "warning", "note"]
    message: str


class ResultView(BaseModel):
    """What came of the photo."""

    outcome: str
    size: int = Field(description="bytes")
    megapixels: float | None = Field(default=None, description="of the photo; 0 where it was HDR already")
    metadata: dict[str, Any] | None = Field(description="of the gain map, by ISO 21496-1's names")
    audit: list[FindingView]
    notes: list[str]
    guided: dict[str, Any] | None = Field(description="how an original was used")


class LinksView(BaseModel):
    """Where to go from here; paths on this host."""

    self: str
    events: str
    result: str
    base: str
    gainmap: str
    metadata: str
    cancel: str
    retry: str


class JobView(BaseModel):
    """A job as callers see it. Times are RFC 3339, UTC."""

    id: JobId
    status: JobStatus
    queue: Queue
    stage: Stage | None
    percent: int = Field(ge=0, le=100)
    attempt: int
    version: int
    created: str
    started: str | None
    finished: str | None
    expires: str | None
    model: str
    name: str | None
    options: dict[str, Any]
    metadata: dict[str, Any] | None
    batch: str | None
    deduplicated: bool
    error: FaultView | None
    timings: dict[str, float] = Field(description="seconds by stage; `cpu` is the whole job's CPU time")
    result: ResultView | None
    links: LinksView


class JobList(BaseModel):
    """One page, newest first."""

    jobs: list[JobView]
    next: str | None = Field(description="the cursor of the next page; null at the end")


class UploadView(BaseModel):
    """How to send the photo straight to the store."""

    id: JobId
    method: Literal["PUT", "POST"]
    url: str
    fields: dict[str, str] = Field(description="of the form, before the file")
    headers: dict[str, str]
    limit: int = Field(description="bytes")
    expires: str


class AuditView(BaseModel):
    """What an audit found."""

    ok: bool
    findings: list[FindingView]


class MapView(BaseModel):
    """The gain map's metadata."""

    source: Literal["iso", "hdrgm", "apple"]
    metadata: dict[str, Any]


class HealthView(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class CheckView(BaseModel):
    """One part of the service."""

    ok: bool
    detail: str | None


class ReadyView(BaseModel):
    """Every part of the service."""

    status: Literal["ready", "not ready"]
    checks: dict[str, CheckView]


class ProblemView(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    errors: list[dict[str, Any]] | None = None
