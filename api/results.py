"""What came of a job: the file itself, and the pieces of it."""

from datetime import timedelta
from pathlib import PurePosixPath

from flask import Response, jsonify, redirect
from werkzeug.wrappers import Response as PlainResponse

from api import contract
from api.answers import MapView
from api.jobs import find, is_gone
from api.problems import ProblemError
from api.schemas import JobPath
from api.services import services
from shared.imaging.photo import orientation_of
from shared.jobs import Job, JobStatus, mask_key_of
from shared.object_store import ObjectNotFound
from shared.ultrahdr import UltraHdrFile, parse

JPEG = "image/jpeg"
PNG = "image/png"
results = contract.group("results")


@results.get("/jobs/<string:job_id>/result", responses={"302": contract.empty("To the file, by a link that expires")})
def result(path: JobPath) -> PlainResponse:
    """Fetch the Ultra HDR file: a redirect to a signed link that expires."""
    job = _finished(path.job_id)
    try:
        services().store.head(job.result_key)
    except ObjectNotFound as error:
        raise _gone() from error
    life = timedelta(minutes=services().settings.link_minutes)
    response = redirect(services().store.url(job.result_key, life, f"{_stem(job)}_hdr.jpg"), 302)
    response.headers["Cache-Control"] = "no-store"
    return response


@results.get("/jobs/<string:job_id>/base", responses={"200": contract.file("The flat JPEG inside", JPEG)})
def base(path: JobPath) -> Response:
    """Fetch the flat base image alone."""
    job = _finished(path.job_id)
    return _image(_opened(job).primary, JPEG, f"{_stem(job)}_base.jpg")


@results.get("/jobs/<string:job_id>/gainmap", responses={"200": contract.file("The gain map's JPEG", JPEG)})
def gainmap(path: JobPath) -> Response:
    """Fetch the gain map alone."""
    job = _finished(path.job_id)
    gain_map = _opened(job).gain_map
    if gain_map is None:
        raise _no_map()
    return _image(gain_map, JPEG, f"{_stem(job)}_gainmap.jpg")


@results.get("/jobs/<string:job_id>/mask", responses={"200": contract.file("Grey, white where predicted", PNG)})
def mask(path: JobPath) -> Response:
    """Fetch the mask of a guided result: white where the map was predicted, black where the original's was taken.

    Upright, as the photo is to be seen, and at most 512 pixels.
    """
    job = _finished(path.job_id)
    if job.result is None or not job.result.get("mask"):
        raise ProblemError("no_mask", "no original was used, so there is no mask: submit the original with the photo")
    try:
        data = services().store.get(mask_key_of(job.result_key))
    except ObjectNotFound as error:
        raise _gone() from error
    return _image(data, PNG, f"{_stem(job)}_mask.png")


@results.get("/jobs/<string:job_id>/metadata", responses={"200": MapView})
def metadata(path: JobPath) -> Response:
    """Show the gain map's metadata as the file has it."""
    file = _opened(_finished(path.job_id))
    if file.metadata is None or file.source is None:
        raise _no_map()
    orientation = orientation_of(file.primary)
    return jsonify({"source": file.source.value, "metadata": file.metadata.to_json(), "orientation": orientation})


def _finished(job_id: str) -> Job:
    """A job whose result should be there.

    Raises:
        ProblemError: there is no such job, it has not ended, it failed, or its time is over.
    """
    job = find(job_id)
    if not job.is_final:
        raise ProblemError("not_finished", f"the job is {job.status.value}: ask again in a moment", retry_after=1)
    if job.status is not JobStatus.SUCCEEDED:
        raise ProblemError(
            "no_result", f"the job ended as {job.status.value}: {job.error_message or 'it was called off'}"
        )
    if is_gone(job):
        raise _gone()
    return job


def _opened(job: Job) -> UltraHdrFile:
    try:
        return parse(services().store.get(job.result_key))
    except ObjectNotFound as error:
        raise _gone() from error


def _image(data: bytes, kind: str, name: str) -> Response:
    response = Response(data, mimetype=kind)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _stem(job: Job) -> str:
    return PurePosixPath(job.source_name or "photo").stem[:200] or "photo"


def _gone() -> ProblemError:
    return ProblemError("gone", "the result's time is over, or it was deleted: submit the photo again")


def _no_map() -> ProblemError:
    return ProblemError("no_gain_map", "the result has no gain map that can be read; /v1/audit says why")
