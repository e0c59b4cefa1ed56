"""What requests look like; pydantic, and only at this edge."""

from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.jobs import JobStatus
from shared.options import HEADROOM_MAX, HEADROOM_MIN, STRENGTH_MAX, STRENGTH_MIN, MetadataOf, WrongOriginal
from shared.signing import WHSEC_FORM

MAX_WAIT: Final = 60  # seconds
MAX_RETENTION: Final = 24 * 366  # hours
MAX_METADATA: Final = 50  # entries
NAME: Final = 255  # characters
# No control characters: PostgreSQL cannot store a zero in text, and no header may carry a line break.
Text = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME, pattern=r"^[^\x00-\x1f\x7f]+$")]
JobId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]  # what every JSON reader keeps exactly
Key = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class Strict(BaseModel):
    """A request: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class OptionsBody(Strict):
    """How the photo is to be restored."""

    strength: float | None = Field(default=None, ge=STRENGTH_MIN, le=STRENGTH_MAX, description="scales every stop")
    max_headroom: float | None = Field(default=None, ge=HEADROOM_MIN, le=HEADROOM_MAX, description="stops, at most")
    replace: bool | None = Field(default=None, description="make a new map where the photo has one")
    metadata: MetadataOf | None = Field(default=None, description="with an original: whose camera data to keep")
    min_confidence: float | None = Field(default=None, ge=0, le=1, description="with an original: below, it is wrong")
    on_wrong_original: WrongOriginal | None = Field(default=None, description="with an original: refuse, or go without")


class UploadSource(Strict):
    """A direct upload."""

    upload: JobId


class UrlSource(Strict):
    """A photo on the web; no redirects, no private networks."""

    url: Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\x00-\x20\x7f]+$")]


class S3Source(Strict):
    """An object in a bucket that the service may read."""

    s3: Annotated[str, StringConstraints(max_length=1200, pattern=r"^[a-z0-9.-]{3,63}/[^\x00-\x1f\x7f]+$")]


Source = UploadSource | UrlSource | S3Source


WebhookUrl = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\x00-\x20\x7f]+$")]
WebhookEvent = Literal[
    "job.queued",
    "job.running",
    "job.progress",
    "job.succeeded",
    "job.failed",
    "job.canceled",
    "batch.progress",
    "batch.completed",
]


class WebhookBody(Strict):
    """Who is told of this job."""

    url: WebhookUrl
    events: list[WebhookEvent] = Field(
        default=["job.succeeded", "job.failed", "job.canceled"],
        min_length=1,
        max_length=len(get_args(WebhookEvent)),
        description="by default how the job ended; a dead job is told of as job.failed",
    )
    secret: Annotated[str, StringConstraints(pattern=WHSEC_FORM)] | None = Field(
        default=None, description="signs instead of GET /v1/webhooks/secret; whsec_ and base64; never shown again"
    )


class Wishes(Strict):
    """What may be asked beside the photo."""

    options: OptionsBody = Field(default_factory=OptionsBody)
    model: Key | None = Field(default=None, description="the service's default if absent")
    metadata: dict[Key, Text | Whole | float | bool | None] | None = Field(
        default=None, max_length=MAX_METADATA, description="yours; given back as it came"
    )
    webhook: WebhookBody | None = None
    retention_hours: float | None = Field(
        default=None, gt=0, le=MAX_RETENTION, description="how long objects are kept once the job has ended"
    )
    queue: Literal["interactive", "bulk"] = "interactive"
    name: Name | None = Field(default=None, description="of the photo; the result's name follows it")


class SubmitBody(Wishes):
    """A job whose photo is somewhere already."""

    source: Source
    original: Source | None = Field(default=None, description="an HDR original of the same picture")


class SubmitForm(Wishes):
    """A job with its photo; `options`, `metadata` and `webhook` are JSON in text fields."""

    photo: bytes = Field(json_schema_extra={"format": "binary"})
    original: bytes | None = Field(
        default=None, json_schema_extra={"format": "binary"}, description="an HDR original of the same picture"
    )


class JobPath(BaseModel):
    """The job that an address names."""

    job_id: JobId


class ObjectPath(BaseModel):
    """The object that a signed link names."""

    key: str


class Query(Strict):
    """Parameters behind the question mark."""

    _schemas: ClassVar[dict[str, dict[str, Any]]] = {}

    @classmethod
    def model_json_schema(cls, *given: Any, **named: Any) -> dict[str, Any]:
        """The schema; the plain one is made once, for flask-openapi3 asks for it at every request."""
        if given or named:
            return super().model_json_schema(*given, **named)
        if cls.__name__ not in cls._schemas:
            cls._schemas[cls.__name__] = super().model_json_schema()
        return cls._schemas[cls.__name__]


class ShowQuery(Query):
    """Of GET on a job."""

    wait: int = Field(default=0, ge=0, le=MAX_WAIT, description="seconds to wait for the end, at most")


class ListQuery(Query):
    """Filters of the list."""

    state: JobStatus | None = None
    created_after: Annotated[str, StringConstraints(max_length=40)] | None = Field(
        default=None, description="RFC 3339, for example 2026-11-24T20:00:00Z"
    )
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="`next` of the page before"
    )
    limit: int = Field(default=50, ge=1, le=200)


class UploadBody(Strict):
    """A direct upload to be announced."""

    content_type: Literal[
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/tiff",
        "image/avif",
        "image/heic",
        "application/x-ndjson",
        "application/jsonl",
        "text/csv",
    ] = Field(description="of a photo, or of a batch's manifest")
    size: int | None = Field(default=None, ge=1, description="bytes; the upload may not be larger")
    name: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("give a JSON object")
        return value


class AuditForm(Strict):
    """A file to be looked at."""

    photo: bytes = Field(json_schema_extra={"format": "binary"})
