"""Standing receivers of events: make, change, try out, and deliver again what they missed."""

import time
from typing import Any, Final

from flask import Response, jsonify

from api import contract
from api.auth import tenant
from api.intake import json_body
from api.paging import cursor_at, cut, position, seconds
from api.problems import ProblemError
from api.services import services
from api.webhook_schemas import (
    DeliveryList,
    DeliveryPath,
    DeliveryQuery,
    DeliveryView,
    EndpointBody,
    EndpointChange,
    EndpointList,
    EndpointPath,
    EndpointSecretView,
    EndpointView,
    RedeliverBody,
    RedeliveredView,
    SecretView,
)
from shared.database import delivery_store, webhook_store
from shared.database.delivery_store import Delivery
from shared.database.webhook_store import Endpoint
from shared.events import EventType
from shared.job_view import maybe_stamp, stamp
from shared.outbound import FetchError, check_url
from shared.signing import tenant_secret

webhooks = contract.group("webhooks")
_CREATE: Final = contract.body({"application/json": contract.register(webhooks, EndpointBody)})
_CHANGE: Final = contract.body({"application/json": contract.register(webhooks, EndpointChange)})
_AGAIN: Final = contract.body({"application/json": contract.register(webhooks, RedeliverBody)})


@webhooks.post("/webhooks", responses={"201": EndpointSecretView}, openapi_extensions=_CREATE)
def create() -> Response:
    """Make an endpoint; its secret is in this answer alone."""
    wanted = EndpointBody.model_validate(json_body())
    _check_url(wanted.url)
    kinds = [EventType(kind) for kind in dict.fromkeys(wanted.events)]
    with services().database.begin() as connection:
        endpoint = webhook_store.create(
            connection, tenant(), wanted.url, kinds, time.time(), description=wanted.description
        )
    if endpoint is None:
        raise ProblemError(
            "too_many_webhooks", f"there are {webhook_store.MAX_ENDPOINTS} endpoints already: delete one first"
        )
    response = jsonify(_view(endpoint) | {"secret": endpoint.secret})
    response.status_code = 201
    response.headers["Location"] = f"/v1/webhooks/{endpoint.id}"
    return response


@webhooks.get("/webhooks", responses={"200": EndpointList})
def list_webhooks() -> Response:
    """List all endpoints, oldest first."""
    with services().database.read() as connection:
        found = webhook_store.every(connection, tenant())
    return jsonify({"webhooks": [_view(endpoint) for endpoint in found]})


@webhooks.get("/webhooks/secret", responses={"200": SecretView})
def secret() -> Response:
    """Show what signs the webhooks of jobs that bring no secret of their own."""
    return jsonify({"secret": tenant_secret(services().settings.signing_secret(), tenant())})


@webhooks.get("/webhooks/<string:webhook_id>", responses={"200": EndpointView})
def show(path: EndpointPath) -> Response:
    """Show an endpoint."""
    return jsonify(_view(_find(path.webhook_id)))


@webhooks.patch("/webhooks/<string:webhook_id>", responses={"200": EndpointView}, openapi_extensions=_CHANGE)
def update(path: EndpointPath) -> Response:
    """Change an endpoint, disable it, or let it be told again."""
    wanted = EndpointChange.model_validate(json_body())
    if wanted.url is not None:
        _check_url(wanted.url)
    endpoint, now = _find(path.webhook_id), time.time()
    values: dict[str, Any] = wanted.model_dump(exclude_unset=True, exclude={"enabled"})
    # `null` would be no address and no list; for the description it is none.
    values = {name: value for name, value in values.items() if value is not None or name == "description"}
    with services().database.begin() as connection:
        webhook_store.change(connection, endpoint.id, now, **values)
        if wanted.enabled is False:
            webhook_store.disable(connection, endpoint.id, "disabled by its owner", now)
        elif wanted.enabled and endpoint.disabled is not None:
            webhook_store.enable(connection, endpoint.id, now)
    return jsonify(_view(_find(endpoint.id)))


@webhooks.delete("/webhooks/<string:webhook_id>", responses={"204": contract.empty("Gone, with its deliveries")})
def delete(path: EndpointPath) -> Response:
    """Delete an endpoint and what is known of its deliveries."""
    endpoint = _find(path.webhook_id)
    with services().database.begin() as connection:
        webhook_store.remove(connection, endpoint.id)
    return Response(status=204)


@webhooks.post("/webhooks/<string:webhook_id>/rotate", responses={"200": EndpointSecretView})
def rotate(path: EndpointPath) -> Response:
    """Replace the secret; for 24 hours the one before signs as well. The new one is in this answer alone."""
    endpoint = _find(path.webhook_id)
    with services().database.begin() as connection:
        webhook_store.rotate(connection, endpoint, time.time())
    endpoint = _find(endpoint.id)
    return jsonify(_view(endpoint) | {"secret": endpoint.secret})


@webhooks.post("/webhooks/<string:webhook_id>/test", responses={"202": DeliveryView})
def test(path: EndpointPath) -> Response:
    """Send an event of type `webhook.test`; the list of deliveries shows what came of it."""
    endpoint = _able(path.webhook_id)
    with services().database.begin() as connection:
        delivery_id = webhook_store.tell_test(connection, endpoint, time.time())
    return _accepted(endpoint, delivery_id)


@webhooks.get("/webhooks/<string:webhook_id>/deliveries", responses={"200": DeliveryList})
def list_deliveries(path: EndpointPath, query: DeliveryQuery) -> Response:
    """List what an endpoint was sent, newest first."""
    endpoint = _find(path.webhook_id)
    with services().database.read() as connection:
        found = delivery_store.page(
            connection,
            endpoint.id,
            status=query.status,
            before=None if query.cursor is None else position(query.cursor),
            limit=query.limit + 1,
        )
    found, cursor = cut(found, query.limit, lambda delivery: cursor_at(delivery.created, delivery.id))
    return jsonify({"deliveries": [_delivery_view(delivery) for delivery in found], "next": cursor})


@webhooks.post(
    "/webhooks/<string:webhook_id>/deliveries/<string:delivery_id>/redeliver", responses={"202": DeliveryView}
)
def redeliver(path: DeliveryPath) -> Response:
    """Deliver one event again, or at once if it waits for its next try; its id stays."""
    endpoint = _able(path.webhook_id)
    _find_delivery(endpoint, path.delivery_id)
    with services().database.begin() as connection:
        delivery_store.again_one(connection, path.delivery_id, time.time())
    return _accepted(endpoint, path.delivery_id)


@webhooks.post("/webhooks/<string:webhook_id>/redeliver", responses={"202": RedeliveredView}, openapi_extensions=_AGAIN)
def redeliver_since(path: EndpointPath) -> Response:
    """Deliver again what an endpoint was to get since a time; the events' ids stay."""
    wanted = RedeliverBody.model_validate(json_body())
    since = seconds("since", wanted.since)
    endpoint = _able(path.webhook_id)
    with services().database.begin() as connection:
        number = delivery_store.again_since(connection, endpoint.id, since, wanted.status, time.time())
    response = jsonify({"deliveries": number})
    response.status_code = 202
    return response


def _find(webhook_id: str) -> Endpoint:
    with services().database.read() as connection:
        endpoint = webhook_store.get(connection, webhook_id, tenant())
    if endpoint is None:
        raise ProblemError("webhook_not_found", f"there is no webhook {webhook_id}: it was deleted, or is not yours")
    return endpoint


def _able(webhook_id: str) -> Endpoint:
    endpoint = _find(webhook_id)
    if endpoint.disabled is not None:
        raise ProblemError(
            "webhook_disabled", f"the endpoint is disabled ({endpoint.disabled_reason}): enable it first"
        )
    return endpoint


def _find_delivery(endpoint: Endpoint, delivery_id: str) -> Delivery:
    with services().database.read() as connection:
        delivery = delivery_store.get(connection, delivery_id)
    if delivery is None or delivery.endpoint != endpoint.id:
        raise ProblemError("delivery_not_found", f"there is no delivery {delivery_id} of this endpoint")
    return delivery


def _accepted(endpoint: Endpoint, delivery_id: str) -> Response:
    response = jsonify(_delivery_view(_find_delivery(endpoint, delivery_id)))
    response.status_code = 202
    return response


def _check_url(url: str) -> None:
    try:
        check_url(url)
    except FetchError as error:
        raise ProblemError("url_not_allowed", str(error)) from error


def _view(endpoint: Endpoint) -> dict[str, Any]:
    rotating = len(endpoint.secrets(time.time())) > 1
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": [kind.value for kind in endpoint.events],
        "description": endpoint.description,
        "enabled": endpoint.disabled is None,
        "disabled": maybe_stamp(endpoint.disabled),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": maybe_stamp(endpoint.failing_since),
        "previous_secret_until": maybe_stamp(endpoint.previous_until) if rotating else None,
        "created": stamp(endpoint.created),
        "updated": stamp(endpoint.updated),
    }


def _delivery_view(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event": delivery.event,
        "type": delivery.kind.value,
        "job": delivery.job,
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "created": stamp(delivery.created),
        "next": maybe_stamp(delivery.due),
        "code": delivery.code,
        "seconds": delivery.seconds,
        "excerpt": delivery.excerpt,
        "error": delivery.error,
    }
