"""Batches: submit, show, list, their rows, pause, resume, cancel, run the failed ones again, report, delete."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from flask import Response, jsonify, redirect, request
from sqlalchemy import Connection
from werkzeug.wrappers import Response as PlainResponse

from api import contract
from api.auth import tenant
from api.batch_intake import submission
from api.batch_schemas import (
    BatchBody,
    BatchList,
    BatchPath,
    BatchQuery,
    BatchView,
    RowList,
    RowQuery,
)
from api.idempotency import reserved
from api.intake import json_body
from api.limits import check_quota
from api.paging import cursor_at, cursor_behind, cut, line_of, position
from api.problems import ProblemError
from api.services import services
from shared.batch_view import row_view
from shared.batches import Batch, BatchStatus, report_key, summary_key
from shared.database import batch_row_store, batch_store
from shared.object_store import ObjectNotFound
from shared.removal import remove_unused

POLL_AFTER: Final = 2  # seconds

batches = contract.group("batches")
_BODY: Final = contract.body({"application/json": contract.register(batches, BatchBody)})
_SUBMIT_HEADERS: Final = contract.headers(
    Idempotency_Key="of your choice; the same request with the same key is one batch, for 24 hours"
)


@batches.post("/batches", responses={"202": BatchView}, openapi_extensions={**_BODY, "parameters": _SUBMIT_HEADERS})
def create() -> Response:
    """Submit a manifest of photos; its rows are read, checked and restored behind this call."""
    with reserved(request.headers.get("Idempotency-Key")) as key:
        asked = submission(BatchBody.model_validate(json_body()))
        stored = key.stored_batch(asked.fingerprint)
        if stored is None:
            check_quota()
        batch = stored or asked.commit(key.text)
    response = _answer(batch)
    response.status_code = 202
    response.headers["Location"] = f"/v1/batches/{batch.id}"
    if stored is not None:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@batches.get(
    "/batches/<string:batch_id>",
    responses={"200": BatchView, "304": contract.empty("Not changed since")},
    openapi_extensions={"description": "`ETag` is the batch's version; `If-None-Match` answers 304 until it grows."},
)
def show(path: BatchPath) -> Response:
    """Show a batch."""
    response = _answer(find(path.batch_id))
    response.make_conditional(request)
    return response


@batches.get("/batches", responses={"200": BatchList})
def list_batches(query: BatchQuery) -> Response:
    """List batches, newest first."""
    before = None if query.cursor is None else position(query.cursor)
    with services().database.read() as connection:
        found = batch_store.page(connection, tenant(), status=query.status, before=before, limit=query.limit + 1)
        found, cursor = cut(found, query.limit, lambda batch: cursor_at(batch.created, batch.id))
        views = batch_store.views(connection, found)
    return jsonify({"batches": views, "next": cursor})


@batches.get("/batches/<string:batch_id>/rows", responses={"200": RowList})
def list_rows(path: BatchPath, query: RowQuery) -> Response:
    """List a batch's rows by line; those of one outcome, or that are `waiting` or `queued`, if it is named."""
    batch = find(path.batch_id)
    after = 0 if query.cursor is None else line_of(query.cursor)
    with services().database.read() as connection:
        found = batch_row_store.page(connection, batch.id, state=query.outcome, after=after, limit=query.limit + 1)
    found, cursor = cut(found, query.limit, lambda row: cursor_behind(row.line))
    return jsonify({"rows": [row_view(row) for row in found], "next": cursor})


@batches.post("/batches/<string:batch_id>/pause", responses={"200": BatchView})
def pause(path: BatchPath) -> Response:
    """Make no further jobs; those that there are go on. To pause twice is no fault."""
    return _changed(path.batch_id, batch_store.pause, BatchStatus.PAUSED)


@batches.post("/batches/<string:batch_id>/resume", responses={"200": BatchView})
def resume(path: BatchPath) -> Response:
    """Go on with a paused batch."""
    return _changed(path.batch_id, batch_store.resume, BatchStatus.RUNNING)


@batches.post("/batches/<string:batch_id>/cancel", responses={"200": BatchView})
def cancel(path: BatchPath) -> Response:
    """Call a batch off; `finished` is set once its rows have ended and its report is written."""
    return _changed(path.batch_id, batch_store.cancel, BatchStatus.CANCELED)


@batches.post("/batches/<string:batch_id>/rerun", responses={"202": BatchView})
def rerun(path: BatchPath) -> Response:
    """Run the failed rows of a batch again, once it has ended; all others keep their outcome."""
    batch = _ended(path.batch_id)
    check_quota()
    with services().database.begin() as connection:
        runnable = batch_row_store.has_runnable(connection, batch.id)
        changed = runnable and batch_store.rerun(connection, batch.id, time.time())
    if not runnable:
        raise ProblemError(
            "nothing_to_rerun", "no row failed that could be run again: lines at fault need a manifest that is mended"
        )
    if not changed:
        raise _state(find(batch.id))
    response = _answer(find(batch.id))
    response.status_code = 202
    response.headers["Location"] = f"/v1/batches/{batch.id}"
    return response


@batches.get(
    "/batches/<string:batch_id>/report", responses={"302": contract.empty("To the report, by a link that expires")}
)
def report(path: BatchPath) -> PlainResponse:
    """Fetch what became of every row, a line of JSON each: a redirect to a signed link that expires."""
    return _redirect(path.batch_id, report_key, "report.jsonl")


@batches.get(
    "/batches/<string:batch_id>/summary", responses={"302": contract.empty("To the table, by a link that expires")}
)
def summary(path: BatchPath) -> PlainResponse:
    """Fetch the same as CSV: a redirect to a signed link that expires."""
    return _redirect(path.batch_id, summary_key, "summary.csv")


@batches.delete(
    "/batches/<string:batch_id>", responses={"204": contract.empty("Gone; its jobs and their objects follow")}
)
def delete(path: BatchPath) -> Response:
    """Delete a batch that has ended, its rows and reports, and its jobs as DELETE of a job does."""
    batch, made = _ended(path.batch_id), services()
    with made.database.begin() as connection:
        changed = batch_store.hide(connection, batch.id, time.time())
    if not changed:
        raise _state(find(batch.id))
    for key in (report_key(batch.id), summary_key(batch.id)):
        remove_unused(made.database, made.store, key)
    return Response(status=204)


def find(batch_id: str) -> Batch:
    """The caller's batch.

    Raises:
        ProblemError: `batch_not_found`; another tenant's batch does not exist.
    """
    with services().database.read() as connection:
        batch = batch_store.get(connection, batch_id, tenant())
    if batch is None:
        raise ProblemError("batch_not_found", f"there is no batch {batch_id}: it was deleted, or is not yours")
    return batch


def _answer(batch: Batch) -> Response:
    with services().database.read() as connection:
        response = jsonify(batch_store.views(connection, [batch])[0])
    response.set_etag(str(batch.version))
    if not batch.has_ended:
        response.headers["Retry-After"] = str(POLL_AFTER)
    return response


def _changed(batch_id: str, change: Callable[[Connection, str, float], bool], to: BatchStatus) -> Response:
    find(batch_id)
    with services().database.begin() as connection:
        changed = change(connection, batch_id, time.time())
    batch = find(batch_id)
    if not changed and batch.status is not to:
        raise _state(batch)
    return _answer(batch)


def _ended(batch_id: str) -> Batch:
    batch = find(batch_id)
    if not batch.has_ended:
        raise ProblemError(
            "batch_not_finished", f"the batch is {batch.status.value}, and has not ended: wait, or cancel it first"
        )
    return batch


def _state(batch: Batch) -> ProblemError:
    return ProblemError("batch_state", f"the batch is {batch.status.value}: this cannot be done with it now")


def _redirect(batch_id: str, key_of: Callable[[str], str], name: str) -> PlainResponse:
    batch = _ended(batch_id)
    key, store = key_of(batch.id), services().store
    try:
        store.head(key)
    except ObjectNotFound as error:
        raise ProblemError("no_report", "the batch failed before it had rows: `error` says why") from error
    life = timedelta(minutes=services().settings.link_minutes)
    response = redirect(store.url(key, life, f"{batch.name or batch.id}-{name}"), 302)
    response.headers["Cache-Control"] = "no-store"
    return response
