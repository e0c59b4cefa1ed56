"""Every refusal: one table of codes, and RFC 9457's problem+json around them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import structlog
from flask import Flask, Response, json, make_response, request
from pydantic import ValidationError
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed, RequestEntityTooLarge

from shared.database import DatabaseUnavailableError
from shared.errors import RestoreError
from shared.object_store import StoreError

CONTENT_TYPE: Final = "application/problem+json"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kind:
    """What one code means, whichever request meets it."""

    status: int
    title: str


# The docs print this table, and a test compares the two.
TABLE: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        # Who asks
        "no_key": Kind(401, "The request has no API key"),
        "bad_key": Kind(401, "The API key is unknown or revoked"),
        "missing_scope": Kind(403, "The API key may not do this"),
        "rate_limited": Kind(429, "Too many requests"),
        "quota_exceeded": Kind(429, "The day's jobs are used up"),
        # What is asked for
        "not_found": Kind(404, "There is nothing at this address"),
        "method_not_allowed": Kind(405, "This address does not take this method"),
        "malformed_id": Kind(404, "This is not an id"),
        "job_not_found": Kind(404, "There is no such job"),
        "bad_cursor": Kind(422, "The cursor is not one of ours"),
        # How it is asked
        "bad_request": Kind(400, "The request cannot be read"),
        "body_cut_off": Kind(400, "The body ended too early"),
        "body_too_slow": Kind(408, "The body came too slowly"),
        "body_too_large": Kind(413, "The body is too large"),
        "unsupported_media_type": Kind(415, "The body has the wrong content type"),
        "invalid_request": Kind(422, "A field is missing, unknown or out of range"),
        "bad_idempotency_key": Kind(422, "The Idempotency-Key is empty or too long"),
        "idempotency_mismatch": Kind(422, "The Idempotency-Key stands for another request"),
        "idempotency_in_flight": Kind(409, "The first request with this Idempotency-Key is under way"),
        # Photos
        "no_photo": Kind(422, "There is no photo in the request"),
        "empty": Kind(422, "The file is empty"),
        "too_many_bytes": Kind(413, "The file is too large"),
        "too_many_pixels": Kind(422, "The photo has too many pixels"),
        "unsupported_format": Kind(415, "The file is not a photo that can be read"),
        "no_heic": Kind(415, "HEIC is not installed here"),
        "animated": Kind(422, "The file is an animation"),
        "cmyk": Kind(422, "The photo is CMYK"),
        "truncated": Kind(422, "The photo is cut off"),
        "damaged": Kind(422, "The photo is damaged"),
        "not_a_jpeg": Kind(422, "The file is not a JPEG"),
        "unknown_model": Kind(422, "There is no such model"),
        "bad_strength": Kind(422, "The strength is out of range"),
        "bad_max_headroom": Kind(422, "The headroom is out of range"),
        # Sources
        "upload_not_found": Kind(422, "There is no such upload"),
        "upload_expired": Kind(410, "The upload's time is over"),
        "upload_not_received": Kind(409, "The upload has not arrived"),
        "bucket_not_allowed": Kind(422, "Jobs may not read this bucket"),
        "source_not_found": Kind(422, "There is no such object"),
        "url_not_allowed": Kind(422, "The URL leads where jobs may not go"),
        "url_failed": Kind(422, "The URL did not give a photo"),
        # Jobs
        "not_finished": Kind(409, "The job has not finished"),
        "no_result": Kind(409, "The job ended without a result"),
        "no_gain_map": Kind(404, "The result has no gain map"),
        "gone": Kind(410, "The objects of the job are deleted"),
        "already_finished": Kind(409, "The job has finished already"),
        "not_retryable": Kind(409, "The job cannot be put back"),
        # Batches
        "batch_not_found": Kind(404, "There is no such batch"),
        "batch_state": Kind(409, "The batch is not in a state for this"),
        "batch_not_finished": Kind(409, "The batch has not ended"),
        "no_report": Kind(409, "The batch has no report"),
        "nothing_to_rerun": Kind(409, "No row of the batch can be run again"),
        "too_many_batches": Kind(409, "Too many batches have not ended"),
        "unknown_manifest": Kind(422, "The manifest's form is not known"),
        "bad_template": Kind(422, "The template makes no names"),
        # Webhooks
        "webhook_not_found": Kind(404, "There is no such webhook"),
        "delivery_not_found": Kind(404, "There is no such delivery"),
        "webhook_disabled": Kind(409, "The webhook is disabled"),
        "too_many_webhooks": Kind(409, "There are too many webhooks"),
        # Signed links
        "bad_signature": Kind(403, "The link is not one of ours"),
        "expired_link": Kind(403, "The link's time is over"),
        "object_not_found": Kind(404, "There is no such object"),
        # Our side
        "database_unavailable": Kind(503, "The database does not answer"),
        "store_unavailable": Kind(503, "The object store does not answer"),
        "unavailable": Kind(503, "The service is misconfigured"),
        "internal": Kind(500, "An unexpected fault"),
    }
)
RETRY_AFTER: Final = 2  # seconds, where nothing better is known
_OF_STATUS: Final = {
    404: "not_found",
    405: "method_not_allowed",
    408: "body_too_slow",
    413: "body_too_large",
    415: "unsupported_media_type",
}


class ProblemError(Exception):
    """A refusal; `code` is in TABLE, the text is one sentence: what, where, what to do."""

    def __init__(
        self, code: str, detail: str, *, retry_after: float | None = None, errors: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.retry_after = retry_after
        self.errors = errors


def answer(problem: ProblemError) -> Response:
    """A refusal as problem+json."""
    kind = TABLE[problem.code]
    body: dict[str, Any] = {
        "type": f"/problems#{problem.code}",
        "title": kind.title,
        "status": kind.status,
        "code": problem.code,
        "detail": str(problem),
        "instance": request.path,
    }
    if problem.errors is not None:
        body["errors"] = problem.errors
    response = make_response(json.dumps(body), kind.status)
    response.content_type = CONTENT_TYPE
    wait = problem.retry_after
    if wait is None and kind.status in (429, 503):
        wait = RETRY_AFTER
    if wait is not None:
        response.headers["Retry-After"] = str(max(1, round(wait)))
    if kind.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="regain"'
    return response


def of_validation(error: ValidationError) -> ProblemError:
    """What pydantic found, as a refusal: the first fault as a sentence, all of them as a list."""
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]}
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = faults[0]
    if first["field"] in ("job_id", "batch_id", "webhook_id", "delivery_id"):
        return ProblemError("malformed_id", "an id is 32 hex digits: take it from the answer that names it")
    where = first["field"] or "the body"
    return ProblemError("invalid_request", f"{where}: {first['message']}", errors=faults)


def answer_validation(error: ValidationError) -> Response:
    """What flask-openapi3 calls."""
    return answer(of_validation(error))


def register(app: Flask) -> None:
    """Let every error of a request leave as problem+json."""
    app.register_error_handler(ProblemError, answer)
    app.register_error_handler(ValidationError, answer_validation)
    app.register_error_handler(RestoreError, lambda error: answer(ProblemError(_known(error.code), str(error))))
    app.register_error_handler(StoreError, _store)
    app.register_error_handler(DatabaseUnavailableError, _database)
    app.register_error_handler(ClientDisconnected, _cut_off)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _known(code: str) -> str:
    return code if code in TABLE else "internal"


def _store(error: StoreError) -> Response:
    if error.retryable:
        return answer(ProblemError("store_unavailable", str(error)))
    if error.code in TABLE and error.code != "bad_key":
        return answer(ProblemError(error.code, str(error)))
    log.error("store_refused", code=error.code, reason=str(error))
    return answer(ProblemError("unavailable", "the object store refused the service: its operator has to look"))


def _database(error: DatabaseUnavailableError) -> Response:
    log.warning("database_unavailable", reason=str(error))
    return answer(ProblemError("database_unavailable", "the database does not answer: try again in a moment"))


def _cut_off(_error: ClientDisconnected) -> Response:
    return answer(ProblemError("body_cut_off", "the body ended before its announced length: send it again"))


def _http(error: HTTPException) -> Response:
    if error.response is not None:  # made by us already, as flask-openapi3 hands it on
        return make_response(error.response)
    if isinstance(error, RequestEntityTooLarge):
        return answer(ProblemError("body_too_large", "the body is larger than two photos of 64 MiB: send less"))
    code = _OF_STATUS.get(error.code or 500, "bad_request" if (error.code or 500) < 500 else "internal")
    response = answer(ProblemError(code, f"{request.method} {request.path}: {error.description or error.name}"))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _unexpected(error: Exception) -> Response:
    log.exception("request_crashed", path=request.path, error=type(error).__name__)
    return answer(ProblemError("internal", "an unexpected fault of ours: try again, and report it if it stays"))
