"""A web server on loopback that behaves as badly as it is asked to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DRIP_SECONDS = 0.05  # between two bytes, so that no single wait is long
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Seen:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class BadWeb:
    """A running server, and what was asked of it."""

    url: str
    seen: list[Seen] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(Seen(self.command, self.path, dict(self.headers), body))
        name, _, argument = self.path.lstrip("/").partition("/")
        with suppress(ConnectionError):  # the client may leave first
            getattr(self, f"_{name}")(argument)

    do_POST = do_GET  # noqa: N815  (the standard library's own names)

    def _start(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def _photo(self, argument: str) -> None:
        data = b"x" * int(argument or 10)
        self._start(200, Content_Type="image/jpeg", Content_Length=str(len(data)))
        self.wfile.write(data)

    def _status(self, argument: str) -> None:
        self._start(int(argument), Content_Length="5")
        self.wfile.write(b"hello")

    def _redirect(self, argument: str) -> None:
        self._start(int(argument), Location="/photo", Content_Length="0")

    def _huge(self, argument: str) -> None:
        """As long as it is read; the length is said or not."""
        self._start(200, **({"Content_Length": str(GIB)} if argument == "said" else {}))
        while True:
            self.wfile.write(bytes(65536))

    def _short(self, _: str) -> None:
        """Ends before the length that it said."""
        self._start(200, Content_Length="1000")
        self.wfile.write(b"x" * 10)

    def _drip(self, argument: str) -> None:
        """The body, or the headers, a byte at a time."""
        if argument == "headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        else:
            self._start(200)
        while not self.server.stopping.wait(DRIP_SECONDS):
            self.wfile.write(b"x")

    def _silent(self, _: str) -> None:
        self.server.stopping.wait(60)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    def __init__(self, seen: list[Seen]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen = seen
        self.stopping = threading.Event()


@contextmanager
def bad_web() -> Iterator[BadWeb]:
    """A server with /photo/<size>, /status/<code>, /redirect/<code>, /huge, /short, /drip and /silent."""
    seen: list[Seen] = []
    server = _Server(seen)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield BadWeb(f"http://127.0.0.1:{server.server_address[1]}", seen)
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
