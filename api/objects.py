"""Signed links of a store that is a folder; an S3 store serves its own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final, cast

from flask import Response, request

from api import contract
from api.problems import ProblemError
from api.schemas import ObjectPath
from api.services import services
from shared.object_store import FileSystemStore, LinkTerms, ObjectStore, attachment

BLOCK: Final = 256 << 10  # bytes sent at once
objects = contract.group("objects", key=False)


@objects.get("/objects/<path:key>", doc_ui=False)
def get_object(path: ObjectPath) -> Response:
    """Send the bytes of an object to whoever has a link."""
    terms = _terms(path.key)
    store = services().store
    info = store.head(path.key)
    response = Response(_blocks(store, path.key), mimetype=info.content_type)
    response.content_length = info.size
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if terms.filename is not None:
        response.headers["Content-Disposition"] = attachment(terms.filename)
    return response


@objects.put("/objects/<path:key>", doc_ui=False)
def put_object(path: ObjectPath) -> Response:
    """Store what the holder of a link sends, as far as the link allows."""
    terms = _terms(path.key)
    if terms.content_type is None or terms.limit is None:
        raise ProblemError("bad_signature", "the link is not one for uploads: ask for a new one")
    if request.mimetype != terms.content_type:
        raise ProblemError("unsupported_media_type", f"this link takes {terms.content_type}: send that Content-Type")
    request.max_content_length = terms.limit  # a manifest may be longer than any other body
    if request.content_length is not None and request.content_length > terms.limit:
        raise ProblemError("body_too_large", f"this link takes {terms.limit} bytes at most: send less")
    services().store.put(path.key, cast(BinaryIO, request.stream), terms.content_type, terms.limit)
    return Response(status=204)


def _blocks(store: ObjectStore, key: str) -> Iterator[bytes]:
    with store.open(key) as stream:
        while block := stream.read(BLOCK):
            yield block


def _terms(key: str) -> LinkTerms:
    """What the request's link allows.

    Raises:
        ProblemError: this store has no such links.
        StoreError: `bad_signature` or `expired_link`.
    """
    store = services().store
    if not isinstance(store, FileSystemStore):
        raise ProblemError("not_found", "this service's objects are not here: follow the link as it was given")
    return store.verify(request.method, key, request.args, datetime.now(UTC))
