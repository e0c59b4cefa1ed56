"""Jobs: submit, show, list, cancel, retry, delete."""

import re
import time
from typing import Final

from flask import Response, jsonify, request

from api import contract
from api.answers import JobList, JobView
from api.auth import tenant
from api.idempotency import reserved
from api.intake import submission
from api.limits import check_quota
from api.paging import cursor_at, cut, position, seconds
from api.problems import ProblemError
from api.schemas import JobPath, ListQuery, ShowQuery, SubmitBody, SubmitForm
from api.services import services
from api.waiting import MAX_SECONDS
from shared.database import job_store
from shared.job_view import job_view
from shared.jobs import Job, JobStatus
from shared.object_store import ObjectNotFound
from shared.removal import remove_job
from shared.submission import Submitted

POLL_AFTER: Final = 1  # seconds: a photo takes about one
_WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:$|[,;])', re.IGNORECASE)

jobs = contract.group("jobs")
_BODY: Final = contract.body(
    {
        "multipart/form-data": contract.register(jobs, SubmitForm),
        "application/json": contract.register(jobs, SubmitBody),
    }
)
_SUBMIT_HEADERS: Final = contract.headers(
    Idempotency_Key="of your choice; the same request with the same key is one job, for 24 hours",
    Prefer="`wait=N`: answer with the finished job if it finishes within N seconds, at most 60",
)


@jobs.post(
    "/jobs",
    responses={"200": JobView, "202": JobView},
    openapi_extensions={**_BODY, "parameters": _SUBMIT_HEADERS},
)
def create() -> Response:
    """Submit a photo.

    202 while there is work to do, 200 where the job is finished already: its result was stored, or it finished
    while the request waited.
    """
    with reserved(request.headers.get("Idempotency-Key")) as key, submission(key.text) as asked:
        submitter = services().submitter
        draft = submitter.draft(asked.source, asked.original, asked.wish)
        stored = key.stored(draft.fingerprint)
        if stored is None:
            check_quota()
        submitted = stored or submitter.commit(draft, asked.source, asked.original)
    wait = _preferred_wait()
    if wait is not None:
        job = services().waiting.until_final(submitted.job, wait)
        submitted = Submitted(job, submitted.deduplicated)
    response = answer(submitted.job, deduplicated=submitted.deduplicated)
    response.status_code = 200 if submitted.job.is_final else 202
    response.headers["Location"] = f"/v1/jobs/{submitted.job.id}"
    if wait is not None:
        response.headers["Preference-Applied"] = f"wait={wait:g}"
    if stored is not None:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@jobs.get(
    "/jobs/<string:job_id>",
    responses={"200": JobView, "304": contract.empty("Not changed since")},
    openapi_extensions={"description": "`ETag` is the job's version; `If-None-Match` answers 304 until it grows."},
)
def show(path: JobPath, query: ShowQuery) -> Response:
    """Show a job; with `wait`, once it has ended or the time is over."""
    job = find(path.job_id)
    if query.wait:
        job = services().waiting.until_final(job, query.wait)
    response = answer(job)
    response.make_conditional(request)
    return response


@jobs.get("/jobs", responses={"200": JobList})
def list_jobs(query: ListQuery) -> Response:
    """List jobs, newest first."""
    with services().database.read() as connection:
        found = job_store.page(
            connection,
            tenant(),
            status=query.state,
            created_after=None if query.created_after is None else seconds("created_after", query.created_after),
            before=None if query.cursor is None else position(query.cursor),
            limit=query.limit + 1,
        )
    found, cursor = cut(found, query.limit, lambda job: cursor_at(job.created, job.id))
    return jsonify({"jobs": [job_view(job) for job in found], "next": cursor})


@jobs.post("/jobs/<string:job_id>/cancel", responses={"200": JobView})
def cancel(path: JobPath) -> Response:
    """Cancel a job that has not ended; to cancel one twice is no fault."""
    find(path.job_id)
    with services().database.begin() as connection:
        changed = job_store.cancel(connection, path.job_id, time.time())
    job = find(path.job_id)
    if not changed and job.status is not JobStatus.CANCELED:
        raise ProblemError("already_finished", f"the job is {job.status.value} already: there is nothing to cancel")
    return answer(job)


@jobs.post("/jobs/<string:job_id>/retry", responses={"202": JobView})
def retry(path: JobPath) -> Response:
    """Put a failed, canceled or dead job back into its queue, with all its attempts before it."""
    job = find(path.job_id)
    check_quota()
    gone = ProblemError("gone", "the photo of this job is deleted: submit it again")
    if is_gone(job):
        raise gone
    keys = [key for key in (job.source_key, job.original_key) if key is not None]
    with services().database.begin(also=keys) as connection:
        try:
            for key in keys:
                services().store.head(key)
        except ObjectNotFound as error:
            raise gone from error
        changed = job_store.retry(connection, job.id, time.time())
    if not changed:
        raise ProblemError(
            "not_retryable",
            f"the job is {job.status.value}, or lives on as another: only failed, canceled and dead jobs go back",
        )
    job = find(path.job_id)
    services().submitter.announce(job)
    response = answer(job)
    response.status_code = 202
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return response


@jobs.delete("/jobs/<string:job_id>", responses={"204": contract.empty("Gone, with its objects")})
def delete(path: JobPath) -> Response:
    """Delete a job and the objects that no other job needs; one at work is called off first."""
    job = find(path.job_id)
    with services().database.begin() as connection:
        job_store.cancel(connection, job.id, time.time())
    remove_job(services().database, services().store, job)
    return Response(status=204)


def find(job_id: str) -> Job:
    """The caller's job.

    Raises:
        ProblemError: `job_not_found`; another tenant's job does not exist.
    """
    with services().database.read() as connection:
        job = job_store.get(connection, job_id, tenant())
    if job is None:
        raise ProblemError("job_not_found", f"there is no job {job_id}: it was deleted, or is not yours")
    return job


def is_gone(job: Job) -> bool:
    """Whether retention has taken the objects of a job that has ended, or may at any moment."""
    return job.is_final and job.retention is not None and (job.expires is None or job.expires <= time.time())


def answer(job: Job, *, deduplicated: bool = False) -> Response:
    """A job, its version as ETag, and when to come back."""
    response = jsonify(job_view(job, deduplicated=deduplicated))
    response.set_etag(str(job.version))
    if not job.is_final:
        response.headers["Retry-After"] = str(POLL_AFTER)
    return response


def _preferred_wait() -> float | None:
    """Seconds that the caller would wait (RFC 7240); what cannot be read is ignored, as it asks."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return None if found is None else min(float(found.group(1)), MAX_SECONDS)
