"""A web server on loopback with as many different photos as are asked for: `/<number>.jpg`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

from tests.golden.recipe import photo
from tests.services.stack import marked

_PHOTO = photo()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        number = PurePosixPath(self.path).stem
        body = marked(_PHOTO, f"photo {number}") if number.isdigit() else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def photo_server() -> Iterator[str]:
    """The address of a running one."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
