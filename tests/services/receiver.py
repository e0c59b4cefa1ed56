"""A receiver of webhooks on loopback: it verifies what comes with the reference library, and misbehaves on demand."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook

HUGE = 1 << 30  # bytes
DRIP = 0.05  # seconds between two bytes


class Receiver:
    """What came, and how the next request is met: `ok`, a status, `silent`, `redirect`, `drip`, `huge`."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.secret: str | None = None  # verified with, once known
        self.headers: dict[str, str] = {}  # of the next answers
        self.attempts: list[str] = []  # ids of all requests, whatever was answered
        self.taken: list[tuple[str, dict[str, Any]]] = []  # id and payload of what was verified and taken
        self.signatures: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.stopping = threading.Event()
        self.url = ""

    @property
    def ids(self) -> list[str]:
        """The ids of what was taken."""
        return [event_id for event_id, _ in self.taken]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.attempts.append(headers["webhook-id"])
        with suppress(OSError):  # the sender may leave first
            if receiver.mode == "ok":
                payload = Webhook(receiver.secret).verify(body, headers) if receiver.secret else {}
                receiver.taken.append((headers["webhook-id"], payload))
                receiver.signatures.append(headers)
                receiver.bodies.append(body)
                self._answer(204)
            else:
                getattr(self, f"_{receiver.mode}", self._status)()

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**self.server.receiver.headers, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _status(self) -> None:
        self._answer(int(self.server.receiver.mode))

    def _redirect(self) -> None:
        self._answer(307, Location=self.server.receiver.url + "/elsewhere")

    def _silent(self) -> None:
        self.server.receiver.stopping.wait(60)

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.server.receiver.stopping.wait(DRIP):
            self.wfile.write(b"x")

    def _huge(self) -> None:
        self.send_response(500)
        self.send_header("Content-Length", str(HUGE))
        self.end_headers()
        while not self.server.receiver.stopping.is_set():
            self.wfile.write(b"x" * 65536)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    def __init__(self, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver

    def handle_error(self, *_: object) -> None:
        """A sender that leaves, or refuses our certificate, is no fault."""


@contextmanager
def receiver(mode: str = "ok", certificate: Path | None = None) -> Iterator[Receiver]:
    """A running receiver; with a certificate's file, over TLS."""
    made = Receiver(mode)
    server = _Server(made)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    made.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed(path: Path) -> Path:
    """A certificate that nobody vouches for, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
