"""Reads a submission: multipart with the photo in it, or JSON that says where the photo is."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from flask import json, request
from pydantic import BaseModel
from werkzeug.datastructures import FileStorage

from api.auth import tenant
from api.problems import ProblemError
from api.schemas import S3Source, Source, SubmitBody, UploadSource, UrlSource, Wishes
from api.services import services
from shared.jobs import Queue
from shared.sources import BucketRef, Ref, UploadRef, UrlRef, file_name, name_of
from shared.submission import Wish

MAX_JSON: Final = 1 << 20  # bytes
FILES: Final = ("photo", "original")
_JSON_FIELDS: Final = ("options", "metadata", "webhook", "retention_hours")


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to restore a photo, its streams open and seekable."""

    source: BinaryIO
    original: BinaryIO | None
    wish: Wish


@contextmanager
def submission(idempotency_key: str | None) -> Iterator[Submission]:
    """The submission in this request; its streams are open inside the block.

    Raises:
        ProblemError, pydantic.ValidationError: it is none.
        RestoreError, StoreError: its source cannot be opened.
    """
    with ExitStack() as stack:
        if request.mimetype == "multipart/form-data":
            source, original, wishes, name = _form(stack)
        elif request.mimetype == "application/json":
            source, original, wishes, name = _json(stack)
        else:
            raise ProblemError(
                "unsupported_media_type",
                "send the photo as multipart/form-data in the field `photo`, or its place as application/json",
            )
        yield Submission(source, original, _wish(wishes, name, idempotency_key))


def json_body() -> Any:
    """The request's JSON.

    Raises:
        ProblemError: it has another type, is too long, or is no JSON.
    """
    if request.mimetype != "application/json":
        raise ProblemError("unsupported_media_type", "send the body as application/json")
    request.max_content_length = MAX_JSON
    return request.get_json()


def uploaded(name: str) -> FileStorage:
    """A file of the form.

    Raises:
        ProblemError: the form has no such file, or files that nobody asked for.
    """
    for other in request.files:
        if other not in FILES:
            raise ProblemError("invalid_request", f"{other}: there is no such file field; send `photo`")
    found = request.files.get(name)
    if found is None:
        raise ProblemError(
            "no_photo", f"there is no file in the field `{name}`: send the photo there, with a file name"
        )
    return found


def _form(stack: ExitStack) -> tuple[BinaryIO, BinaryIO | None, Wishes, str | None]:
    fields: dict[str, Any] = dict(request.form)
    for name in _JSON_FIELDS:
        if name in fields:
            fields[name] = _parsed(name, fields[name])
    if "photo" in fields:
        raise ProblemError("no_photo", "the field `photo` is text: send it as a file, with a file name")
    wishes = Wishes.model_validate(fields)
    photo = uploaded("photo")
    stack.callback(photo.close)
    original = request.files.get("original")
    return (
        cast(BinaryIO, photo.stream),
        None if original is None else cast(BinaryIO, original.stream),
        wishes,
        (file_name(photo.filename)),
    )


def _json(stack: ExitStack) -> tuple[BinaryIO, BinaryIO | None, Wishes, str | None]:
    wanted = SubmitBody.model_validate(json_body())
    sources = services().sources
    original = None
    source_ref, name = _ref(wanted.source)
    source = stack.enter_context(sources.open(source_ref, tenant()))
    if wanted.original is not None:
        original = stack.enter_context(sources.open(_ref(wanted.original)[0], tenant()))
    return source, original, wanted, name


def _ref(source: Source) -> tuple[Ref, str | None]:
    """Where a source is, and the name that the address gives it."""
    if isinstance(source, UploadSource):
        return UploadRef(source.upload), None
    if isinstance(source, UrlSource):
        ref: Ref = UrlRef(source.url)
    else:
        assert isinstance(source, S3Source)
        ref = BucketRef(source.s3)
    return ref, name_of(ref)


def _wish(wishes: Wishes, name: str | None, idempotency_key: str | None) -> Wish:
    retention = wishes.retention_hours
    return Wish(
        tenant=tenant(),
        options=plain(wishes.options) or {},
        model=wishes.model,
        metadata=wishes.metadata,
        webhook=plain(wishes.webhook),
        retention=None if retention is None else retention * 3600,
        queue=Queue(wishes.queue),
        source_name=wishes.name or name,
        idempotency_key=idempotency_key,
    )


def plain(model: BaseModel | None) -> dict[str, Any] | None:
    """A part of a request as it is stored: what was not said is left out."""
    return None if model is None else model.model_dump(mode="json", exclude_none=True)


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProblemError("invalid_request", f"{name}: not JSON ({error})") from error
