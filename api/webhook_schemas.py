"""What requests and answers about webhooks look like."""

from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, StringConstraints, model_validator

from api.schemas import JobId, Name, Strict, WebhookEvent, WebhookUrl
from shared.database.delivery_store import DeliveryStatus

Events = Annotated[list[WebhookEvent], Field(max_length=len(get_args(WebhookEvent)))]


class EndpointBody(Strict):
    """A standing receiver to be made."""

    url: WebhookUrl
    events: Events = Field(default=[], description="what it is told of; none: everything")
    description: Name | None = None


class EndpointChange(Strict):
    """What is to be different; what is absent stays."""

    url: WebhookUrl | None = None
    events: Events | None = None
    description: Name | None = None
    enabled: bool | None = Field(default=None, description="false: it is told nothing until it is true again")

    @model_validator(mode="before")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        if not value:
            raise ValueError("give a JSON object with what is to change")
        return value


class RedeliverBody(Strict):
    """Which events an endpoint is to get again."""

    since: Annotated[str, StringConstraints(max_length=40)] = Field(
        description="of the event; RFC 3339, for example 2026-11-24T20:00:00Z"
    )
    status: list[DeliveryStatus] = Field(
        default=[DeliveryStatus.FAILED, DeliveryStatus.CANCELED],
        min_length=1,
        max_length=len(DeliveryStatus),
        description="by default what it has not got",
    )


class EndpointPath(BaseModel):
    """The endpoint that an address names."""

    webhook_id: JobId


class DeliveryPath(EndpointPath):
    """The delivery that an address names."""

    delivery_id: JobId


class DeliveryQuery(Strict):
    """Filters of the list."""

    status: DeliveryStatus | None = None
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="`next` of the page before"
    )
    limit: int = Field(default=50, ge=1, le=200)


class EndpointView(BaseModel):
    """A standing receiver."""

    id: JobId
    url: str
    events: list[str] = Field(description="none: everything")
    description: str | None
    enabled: bool
    disabled: str | None = Field(description="since when")
    disabled_reason: str | None
    failing_since: str | None = Field(description="the first failure after the last success")
    previous_secret_until: str | None = Field(description="so long the secret before the last change signs as well")
    created: str
    updated: str


class EndpointSecretView(EndpointView):
    """The same with its secret, which is not shown again."""

    secret: str


class EndpointList(BaseModel):
    """All of them, oldest first."""

    webhooks: list[EndpointView]


class SecretView(BaseModel):
    """What signs the webhooks of jobs that bring no secret of their own."""

    secret: str


class DeliveryView(BaseModel):
    """One event on its way to one endpoint."""

    id: JobId
    event: str = Field(description="the receiver's `webhook-id`, in every try")
    type: str
    job: str | None
    status: DeliveryStatus
    attempts: int
    created: str
    next: str | None = Field(description="when it is tried again")
    code: int | None = Field(description="what was answered last")
    seconds: float | None = Field(description="that the last try took")
    excerpt: str | None = Field(description="the beginning of the last answer's body")
    error: str | None = Field(description="why the last try failed")


class DeliveryList(BaseModel):
    """One page, newest first."""

    deliveries: list[DeliveryView]
    next: str | None = Field(description="the cursor of the next page; null at the end")


class RedeliveredView(BaseModel):
    """How many events go out again."""

    deliveries: int
