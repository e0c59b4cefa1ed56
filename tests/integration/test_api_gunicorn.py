"""The API under gunicorn: what only a real server shows."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.golden.recipe import photo
from tests.services.api import Api, close, make_api
from tests.services.ports import free_port, wait_for

ROOT = Path(__file__).parents[2]
START = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\nabc'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, int]]:
    """An API and the port of the gunicorn that serves it."""
    folder = tmp_path_factory.mktemp("gunicorn")
    api = make_api(folder / "data", models_dir=folder / "models")
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REGAIN_")}
    environment = {
        "REGAIN_DATA_DIR": str(folder / "data"),
        "REGAIN_MODELS_DIR": str(folder / "models"),
        "REGAIN_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "8", "--no-control-socket"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-b", f"127.0.0.1:{port}", "tests.services.impatient:app"],
            cwd=ROOT,
            env=clean | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(port, process)
            yield api, port
        finally:
            process.terminate()
            process.wait(timeout=20)
            close(api)


def test_submit_wait_download(served: tuple[Api, int]) -> None:
    api, port = served
    url = f"http://127.0.0.1:{port}/v1/jobs"
    with requests.Session() as session:
        session.headers.update(api.headers)
        job_id = session.post(url, files={"photo": ("a.jpg", photo())}, timeout=20).json()["id"]
        timer = threading.Timer(0.3, api.finish, [job_id])
        timer.start()
        assert session.get(f"{url}/{job_id}?wait=10", timeout=20).json()["status"] == "succeeded"
        timer.join()
        file = session.get(f"{url}/{job_id}/result", timeout=20)
        assert (file.status_code, file.content) == (200, api.store.get(api.job(job_id).result_key))


def test_events_come_as_they_happen(served: tuple[Api, int]) -> None:
    api, port = served
    url = f"http://127.0.0.1:{port}/v1/jobs"
    with requests.Session() as session:
        session.headers.update(api.headers)
        job_id = session.post(url, files={"photo": ("events.jpg", photo() + b" ")}, timeout=20).json()["id"]
        with session.get(f"{url}/{job_id}/events", stream=True, timeout=20) as stream:
            lines = stream.iter_lines()
            first = next(line for line in lines if line.startswith(b"data:"))
            assert json.loads(first[5:])["status"] == "queued"
            api.call("POST", f"/v1/jobs/{job_id}/cancel")
            last = [line for line in lines if line.startswith(b"data:")][-1]
            assert json.loads(last[5:])["status"] == "canceled"


def silent(client: socket.socket) -> None:
    client.sendall(START)


def drip(client: socket.socket) -> None:
    client.sendall(START)
    for _ in range(8):
        client.sendall(b"x")
        time.sleep(0.4)


def cut(client: socket.socket) -> None:
    client.sendall(START)
    client.shutdown(socket.SHUT_WR)


def cut_chunk(client: socket.socket) -> None:
    client.sendall(b"%x\r\n" % len(START) + START)
    client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("feed", "length", "code"),
    [
        (silent, "Content-Length: 9999", "body_too_slow"),
        (drip, "Content-Length: 9999", "body_too_slow"),
        (cut, "Content-Length: 9999", "body_cut_off"),
        (cut_chunk, "Transfer-Encoding: chunked", "body_cut_off"),
    ],
)
def test_a_body_that_does_not_come_is_answered(
    served: tuple[Api, int], feed: Callable[[socket.socket], None], length: str, code: str
) -> None:
    api, port = served
    before = api.everything()
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: api\r\nAuthorization: {api.headers['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\n{length}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(head.encode())
        with suppress(OSError):  # answered already
            feed(client)
        received = b""
        while b'"code"' not in received:
            block = client.recv(65536)
            assert block, received
            received += block
    assert f'"code": "{code}"'.encode() in received
    assert api.everything() == before
