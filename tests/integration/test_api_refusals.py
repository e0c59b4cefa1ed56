"""Bad input: each case has one code and one sentence, and leaves no object and no row behind."""

import io
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image
from werkzeug.serving import make_server

from shared.database import request_store
from shared.database.request_store import Upload
from shared.imaging.limits import MAX_BYTES
from tests.golden.recipe import photo
from tests.integration.test_api import problem
from tests.services.api import Answer, Api

SOMEBODY: str = "0" * 32


@cache
def encoded(mode: str, kind: str, **options: Any) -> bytes:
    """A small picture in a format of one's choice."""
    out = io.BytesIO()
    Image.new(mode, (64, 48)).save(out, kind, **options)
    return out.getvalue()


@cache
def animation() -> bytes:
    out = io.BytesIO()
    frames = [Image.fromarray(np.full((32, 32, 3), level, np.uint8)) for level in (0, 128, 255)]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG that says what it likes of its size."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def a_photo(data: bytes, name: str = "a.jpg", **fields: Any) -> Callable[[Api], Answer]:
    return lambda api: api.submit(data, name=name, **fields)


def long_form(api: Api) -> Answer:
    # By hand: the test client would leave its temporary file open.
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    return raw(head + photo() + bytes(MAX_BYTES) + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")(api)


def form(**fields: Any) -> Callable[[Api], Answer]:
    return lambda api: api.call("POST", "/v1/jobs", data=fields, content_type="multipart/form-data")


def body(source: Any, **more: Any) -> Callable[[Api], Answer]:
    return lambda api: api.call("POST", "/v1/jobs", json={"source": source, **more})


def raw(data: bytes, content_type: str) -> Callable[[Api], Answer]:
    return lambda api: api.call("POST", "/v1/jobs", data=data, headers={"Content-Type": content_type})


def get(path: str) -> Callable[[Api], Answer]:
    return lambda api: api.get(path)


REFUSALS = {
    "no file": (form(options="{}"), "no_photo"),
    "photo as text": (form(photo="text"), "no_photo"),
    "empty": (a_photo(b""), "empty"),
    "not an image": (a_photo(b"%PDF-1.7 " + bytes(1000)), "unsupported_format"),
    "extension lies": (a_photo(b"GIF89a" + bytes(100), "a.jpg"), "unsupported_format"),
    "truncated JPEG": (a_photo(photo()[:-400]), "truncated"),
    "truncated PNG header": (a_photo(encoded("RGB", "PNG")[:20]), "damaged"),
    "bomb by pixels": (a_photo(png(60_000, 60_000, zlib.compress(bytes(1000)))), "too_many_pixels"),
    "bomb by bytes": (a_photo(png(20_000, 20_000, zlib.compress(bytes(1 << 20)))), "too_many_pixels"),
    "over 100 MP": (a_photo(png(10_001, 10_000, b"")), "too_many_pixels"),
    "over 64 MiB": (long_form, "too_many_bytes"),
    "CMYK": (a_photo(encoded("CMYK", "JPEG")), "cmyk"),
    "animated": (a_photo(animation(), "a.webp"), "animated"),
    "wrong field": (form(picture=(io.BytesIO(photo()), "a.jpg")), "invalid_request"),
    "unknown text field": (a_photo(photo(), colour="blue"), "invalid_request"),
    "unknown option": (a_photo(photo(), options='{"sharpen": 1}'), "invalid_request"),
    "options are no JSON": (a_photo(photo(), options="{strength"), "invalid_request"),
    "options are no object": (a_photo(photo(), options="[1]"), "invalid_request"),
    "strength out of range": (a_photo(photo(), options='{"strength": 9}'), "invalid_request"),
    "strength not a number": (a_photo(photo(), options='{"strength": NaN}'), "invalid_request"),
    "confidence out of range": (a_photo(photo(), options='{"min_confidence": 1.5}'), "invalid_request"),
    "unknown model": (a_photo(photo(), model="nope"), "unknown_model"),
    "unknown queue": (a_photo(photo(), queue="control"), "invalid_request"),
    "retention below 0": (a_photo(photo(), retention_hours="-1"), "invalid_request"),
    "webhook that is no URL": (a_photo(photo(), webhook='{"url": "file:///etc/passwd"}'), "invalid_request"),
    "broken original": (lambda api: api.submit(original=(io.BytesIO(b"x"), "o.jpg")), "unsupported_format"),
    "wrong content type": (raw(photo(), "image/jpeg"), "unsupported_media_type"),
    "no content type": (raw(photo(), ""), "unsupported_media_type"),
    "broken JSON": (raw(b"{", "application/json"), "bad_request"),
    "JSON without source": (raw(b"{}", "application/json"), "invalid_request"),
    "JSON that is no object": (raw(b"[]", "application/json"), "invalid_request"),
    "JSON of 2 MiB": (raw(b'{"a": "' + bytes(2 << 20) + b'"}', "application/json"), "body_too_large"),
    "two sources": (body({"url": "https://a.example/x", "s3": "bucket/key"}), "invalid_request"),
    "broken form": (raw(b"--x\r\nnonsense", "multipart/form-data; boundary=x"), "no_photo"),
    "form without boundary": (raw(b"nonsense", "multipart/form-data"), "no_photo"),
    "unknown upload": (body({"upload": SOMEBODY}), "upload_not_found"),
    "malformed upload": (body({"upload": "../x"}), "invalid_request"),
    "URL to loopback": (body({"url": "http://127.0.0.1:9/a.jpg"}), "url_not_allowed"),
    "URL to loopback by name": (body({"url": "http://localhost:9/a.jpg"}), "url_not_allowed"),
    "URL to link-local": (body({"url": "http://169.254.169.254/latest/meta-data"}), "url_not_allowed"),
    "URL of another kind": (body({"url": "ftp://a.example/x"}), "invalid_request"),
    "bucket not named": (body({"s3": "secrets/key"}), "bucket_not_allowed"),
    "unknown id": (get(f"/v1/jobs/{SOMEBODY}"), "job_not_found"),
    "malformed id": (get("/v1/jobs/nope"), "malformed_id"),
    "unknown path": (get("/v1/nothing"), "not_found"),
    "wrong method": (lambda api: api.call("PUT", "/v1/jobs"), "method_not_allowed"),
    "unknown state": (get("/v1/jobs?state=lost"), "invalid_request"),
    "unknown filter": (get("/v1/jobs?owner=me"), "invalid_request"),
    "limit out of range": (get("/v1/jobs?limit=0"), "invalid_request"),
    "bad time": (get("/v1/jobs?created_after=yesterday"), "invalid_request"),
    "bad cursor": (get("/v1/jobs?cursor=xyz"), "bad_cursor"),
    "wait out of range": (get(f"/v1/jobs/{SOMEBODY}?wait=61"), "invalid_request"),
    "empty idempotency key": (lambda api: api.submit(headers={"Idempotency-Key": ""}), "bad_idempotency_key"),
    "upload of a strange type": (
        lambda api: api.call("POST", "/v1/uploads", json={"content_type": "text/html"}),
        "invalid_request",
    ),
    "audit of nothing": (
        lambda api: api.call("POST", "/v1/audit", data=b"", headers={"Content-Type": "image/jpeg"}),
        "empty",
    ),
    "unsigned object": (get("/v1/objects/uploads/x"), "bad_signature"),
    "wrong key": (lambda api: api.submit(headers={"Authorization": "Bearer rgn_a_b"}), "bad_key"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_leaves_nothing_behind(small_api: Api, case: str) -> None:
    send, code = REFUSALS[case]
    before = small_api.everything()
    answer = send(small_api)
    assert problem(answer) == code
    assert 400 <= answer.status_code < 500
    detail = answer.json["detail"]
    assert 10 < len(detail) < 400
    assert "\n" not in detail
    assert small_api.everything() == before


def test_an_expired_upload(small_api: Api) -> None:
    upload = Upload("1" * 32, "one", "incoming/x", None, time.time() - 1)
    with small_api.database.begin() as connection:
        request_store.add_upload(connection, upload)
    assert problem(small_api.call("POST", "/v1/jobs", json={"source": {"upload": upload.id}})) == "upload_expired"


@pytest.fixture
def address(small_api: Api) -> Iterator[tuple[str, int]]:
    """The API behind a real socket."""
    server = make_server("127.0.0.1", 0, small_api.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield "127.0.0.1", server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json"])
def test_a_body_that_is_cut_off_is_answered(small_api: Api, address: tuple[str, int], kind: str) -> None:
    before = small_api.everything()
    start = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\nabc'
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: api\r\nAuthorization: {small_api.headers['Authorization']}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: 100000\r\n\r\n"
    )
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(head.encode() + start)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while block := client.recv(65536):
            received += block
    head_lines, _, payload = received.partition(b"\r\n\r\n")
    assert b" 400 " in head_lines.splitlines()[0]
    assert json.loads(payload)["code"] == "body_cut_off"
    assert small_api.everything() == before


def test_a_body_that_drips_is_ended(small_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.bodies.WHOLE", -1.0)
    before = small_api.everything()
    assert problem(small_api.submit()) == "body_too_slow"
    assert small_api.everything() == before
