"""What requests and answers about batches look like."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, StringConstraints, field_validator

from api.answers import FaultView
from api.schemas import (
    MAX_METADATA,
    MAX_RETENTION,
    JobId,
    Key,
    Name,
    OptionsBody,
    Query,
    Strict,
    Text,
    WebhookBody,
    WebhookEvent,
    Whole,
)
from shared.backfill.outputs import TEMPLATE
from shared.batches import INLINE_CHARS, BatchStatus, RowState


class InlineManifest(Strict):
    """A manifest in the request itself."""

    inline: Annotated[str, StringConstraints(min_length=1, max_length=INLINE_CHARS)]


class UploadedManifest(Strict):
    """A manifest that was sent as POST /v1/uploads says."""

    upload: JobId


class BucketManifest(Strict):
    """A manifest in a bucket that the service may read, or, with a slash at its end, every photo below a prefix."""

    s3: Annotated[str, StringConstraints(max_length=1200, pattern=r"^[a-z0-9.-]{3,63}/[^\x00-\x1f\x7f]*$")]

    @field_validator("s3", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return value.removeprefix("s3://") if isinstance(value, str) else value


class OutputBody(Strict):
    """Where results are copied to."""

    prefix: Annotated[
        str, StringConstraints(max_length=600, pattern=r"^(s3://)?[a-z0-9.-]{3,63}(/[^\x00-\x1f\x7f]*)?$")
    ] = Field(description="`bucket/prefix`")
    template: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")] = Field(
        default=TEMPLATE, description="of {dir}, {stem}, {name} and {ext}"
    )
    overwrite: bool = Field(default=False, description="also what is there already, and the sources")


class BatchWebhookBody(WebhookBody):
    """Who is told of this batch."""

    events: list[WebhookEvent] = Field(
        default=["batch.completed"],
        min_length=1,
        max_length=len(get_args(WebhookEvent)),
        description="batch.completed unless others are named; job.* is told of each of its jobs",
    )


class BatchBody(Strict):
    """A batch to be run."""

    manifest: InlineManifest | UploadedManifest | BucketManifest
    format: Literal["jsonl", "csv"] | None = Field(default=None, description="by the manifest's name if absent")
    name: Name | None = None
    options: OptionsBody = Field(default_factory=OptionsBody, description="of every row that says nothing else")
    model: Key | None = Field(default=None, description="the service's default if absent")
    output: OutputBody | None = Field(default=None, description="absent: results stay with their jobs")
    webhook: BatchWebhookBody | None = None
    metadata: dict[Key, Text | Whole | float | bool | None] | None = Field(
        default=None, max_length=MAX_METADATA, description="yours; given back as it came"
    )
    retention_hours: float | None = Field(
        default=None, gt=0, le=MAX_RETENTION, description="how long batch, report and results are kept"
    )


class BatchPath(BaseModel):
    """The batch that an address names."""

    batch_id: JobId


class BatchQuery(Query):
    """Filters of the list."""

    status: BatchStatus | None = None
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="`next` of the page before"
    )
    limit: int = Field(default=50, ge=1, le=200)


class RowQuery(Query):
    """Filters of a batch's rows."""

    outcome: RowState | None = None
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="`next` of the page before"
    )
    limit: int = Field(default=100, ge=1, le=1000)


class CountsView(BaseModel):
    """Rows by where they stand."""

    total: int
    waiting: int
    queued: int
    restored: int
    unchanged: int = Field(description="had a gain map already")
    skipped_done: int = Field(description="their output was there")
    duplicate: int = Field(description="the same photo and options as another row")
    failed: int
    canceled: int


class FailureView(BaseModel):
    """How often a code ended a row."""

    code: str
    count: int


class OutputView(BaseModel):
    """Where results are copied to."""

    prefix: str
    template: str
    overwrite: bool


class BatchLinks(BaseModel):
    """Where to go from here; paths on this host."""

    self: str
    rows: str
    report: str
    summary: str


class BatchView(BaseModel):
    """A batch as callers see it. Times are RFC 3339, UTC."""

    id: JobId
    name: str | None
    status: BatchStatus
    version: int
    created: str
    updated: str
    started: str | None
    finished: str | None = Field(description="set once the report is written, also of a canceled batch")
    expires: str | None
    counts: CountsView
    rate: float | None = Field(description="rows a second of late")
    eta: float | None = Field(description="seconds that the rest takes")
    error: FaultView | None = Field(description="why the manifest could not be read")
    failures: list[FailureView]
    options: dict[str, Any]
    model: str
    output: OutputView | None
    metadata: dict[str, Any] | None
    links: BatchLinks


class BatchList(BaseModel):
    """One page, newest first."""

    batches: list[BatchView]
    next: str | None = Field(description="the cursor of the next page; null at the end")


class RowView(BaseModel):
    """One row of a batch."""

    line: int
    source: str = Field(description="empty where the line could not be read")
    original: str | None
    output: str | None = Field(description="bucket/key")
    outcome: RowState
    error: FaultView | None
    duplicate_of: str | None = Field(description="the other row's source")
    confidence: float | None = Field(description="0 to 1, of a guided restoration")
    seconds: float | None = Field(description="of work")
    job: str | None
    metadata: dict[str, Any] | None


class RowList(BaseModel):
    """One page, by line."""

    rows: list[RowView]
    next: str | None = Field(description="the cursor of the next page; null at the end")
