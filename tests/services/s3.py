"""Servers that speak S3. Each lies somewhere.

moto accepts any signature and any date, and does not check the policy of a presigned POST. nanio checks SigV4, has
no presigned POST, overwrites in spite of If-None-Match, and answers 500 where one key is the folder of another.
Assert nothing that one lies about.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3.session
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from shared.object_store import StoreSettings
from tests.services.ports import free_port, wait_for

ACCESS_KEY, SECRET_KEY, BUCKET = "test-access", "test-secret", "regain-test"


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server, with the bucket made."""

    endpoint: str

    def settings(self) -> StoreSettings:
        """What a store needs to use it."""
        return StoreSettings(
            kind="s3", bucket=BUCKET, endpoint=self.endpoint, access_key=ACCESS_KEY, secret_key=SECRET_KEY
        )


def _ready(endpoint: str) -> S3Server:
    session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
    session.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
    return S3Server(endpoint)


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """moto, in a thread of this process. Its objects are global to the process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield _ready(f"http://{host}:{port}")
    finally:
        server.stop()


@contextmanager
def nanio_server(folder: Path) -> Iterator[S3Server]:
    """nanio, a process of its own that keeps objects below `folder`."""
    port = free_port()
    command = [sys.executable, "-m", "nanio", "serve", "--data-dir", str(folder), "--host", "127.0.0.1"]
    keys = {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], env=os.environ | keys, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_for(port, process)
            yield _ready(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(timeout=20)
