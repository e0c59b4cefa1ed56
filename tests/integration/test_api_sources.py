"""Photos that are somewhere else: on the web, and in a bucket."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3.session
import pytest

from tests.golden.recipe import photo
from tests.integration.test_api import problem
from tests.services.api import Api, close, make_api
from tests.services.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, moto_server


class _Web(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/photo.jpg")
            self.end_headers()
            return
        found = self.path == "/photo.jpg"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(photo() if found else b"no")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    """A web server on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Web) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def private_api(tmp_path: Path) -> Iterator[Api]:
    """An API that may fetch from loopback, as its operator has allowed."""
    made = make_api(tmp_path / "data", allow_private_urls=True)
    yield made
    close(made)


def test_a_photo_on_the_web(private_api: Api, web: str) -> None:
    answer = private_api.call("POST", "/v1/jobs", json={"source": {"url": f"{web}/photo.jpg"}})
    assert (answer.status_code, answer.json["name"]) == (202, "photo.jpg")
    assert private_api.store.get(private_api.job(answer.json["id"]).source_key) == photo()


@pytest.mark.parametrize(("path", "code"), [("/nothing", "url_failed"), ("/moved", "url_not_allowed")])
def test_a_url_that_gives_no_photo(private_api: Api, web: str, path: str, code: str) -> None:
    before = private_api.everything()
    assert problem(private_api.call("POST", "/v1/jobs", json={"source": {"url": web + path}})) == code
    assert private_api.everything() == before


def test_a_photo_in_a_bucket(tmp_path: Path) -> None:
    with moto_server() as server:
        session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
        client = session.client("s3", endpoint_url=server.endpoint)
        client.put_object(Bucket=BUCKET, Key="2026/photo.jpg", Body=photo())
        api = make_api(
            tmp_path / "data",
            s3_endpoint=server.endpoint,
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
            source_buckets=(BUCKET,),
        )
        before = api.everything()
        missing = api.call("POST", "/v1/jobs", json={"source": {"s3": f"{BUCKET}/nothing"}})
        assert problem(missing) == "source_not_found"
        assert api.everything() == before
        answer = api.call("POST", "/v1/jobs", json={"source": {"s3": f"{BUCKET}/2026/photo.jpg"}})
        assert (answer.status_code, answer.json["name"]) == (202, "photo.jpg")
        assert api.store.get(api.job(answer.json["id"]).source_key) == photo()
        close(api)


def test_the_whole_way_over_s3(tmp_path: Path) -> None:
    with moto_server() as server:
        api = make_api(
            tmp_path / "data",
            store="s3",
            s3_bucket=BUCKET,
            s3_endpoint=server.endpoint,
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
        )
        before = api.everything()[0]  # moto's objects are the whole process's
        terms = api.call("POST", "/v1/uploads", json={"content_type": "image/jpeg"}).json
        assert (terms["method"], terms["fields"]["Content-Type"]) == ("POST", "image/jpeg")
        job_id = api.submit().json["id"]
        api.finish(job_id)
        link = api.get(f"/v1/jobs/{job_id}/result").headers["Location"]
        assert link.startswith(server.endpoint)
        assert problem(api.get("/v1/objects/uploads/x")) == "not_found"
        api.call("DELETE", f"/v1/jobs/{job_id}")
        assert api.everything() == (before, 0, 0, 0)
        close(api)
