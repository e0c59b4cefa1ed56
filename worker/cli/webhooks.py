"""`regain webhooks listen`: receive events, verify them as a receiver should, and print them."""

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from standardwebhooks import Webhook, WebhookVerificationError

from shared.signing import WHSEC_FORM
from worker.cli.console import CliError, out, print_json

MAX_BODY: Final = 1 << 20  # bytes: no event is so long
LOOPBACK: Final = "127.0.0.1"

webhooks = typer.Typer(help="Try webhooks out.", no_args_is_help=True)


@webhooks.callback()
def group() -> None:
    """Try webhooks out."""


@webhooks.command()
def listen(
    secret: Annotated[list[str], typer.Option(help="whsec_…; give it twice while a secret is changed")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 9000,
    host: Annotated[str, typer.Option(help="address to listen on")] = LOOPBACK,
    as_json: Annotated[bool, typer.Option("--json", help="print payloads as JSON")] = False,
) -> None:
    """Receive webhooks, verify and print them; Ctrl-C ends it.

    The service delivers to private addresses only where REGAIN_ALLOW_PRIVATE_URLS is set.
    """
    wrong = [text for text in secret if not re.match(WHSEC_FORM, text)]
    if wrong:
        raise CliError("--secret: a webhook secret is whsec_ and base64; copy it as it was shown")
    try:
        server = Server((host, port), Ear([Webhook(text) for text in secret], as_json))
    except OSError as error:
        raise CliError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port") from error
    with server:
        out.print(f"listening on http://{host}:{server.server_address[1]}/ ; Ctrl-C ends it")
        server.serve_forever(poll_interval=0.2)


@dataclass(slots=True)
class Ear:
    """What verifies and prints; shared by the requests' threads."""

    keys: list[Webhook]
    as_json: bool
    seen: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer with; one line for whoever watches."""
        event_id = headers.get("webhook-id", "")
        payload = self._verified(headers, body)
        with self.lock:
            if payload is None:
                out.print(f"[red]refused[/] {escape(event_id) or 'a request'}: no signature by this secret, or too old")
                return 401
            again = event_id in self.seen
            self.seen.add(event_id)
            if self.as_json:
                print_json(payload)
            else:
                out.print(escape(line(event_id, payload)) + (" [yellow]again[/]" if again else ""))
        return 204

    def _verified(self, headers: dict[str, str], body: bytes) -> dict[str, Any] | None:
        for key in self.keys:
            try:
                payload = key.verify(body, headers)
            except (WebhookVerificationError, ValueError):
                continue
            return payload if isinstance(payload, dict) else None
        return None


def line(event_id: str, payload: dict[str, Any]) -> str:
    """An event in one line: when, what, of which job, and how it stands."""
    data = payload.get("data") or {}
    words = [payload.get("timestamp"), payload.get("type"), data.get("id"), data.get("status"), data.get("stage")]
    error = (data.get("error") or {}).get("code")
    return "  ".join(str(word) for word in [*words, error, event_id] if word)


class Server(ThreadingHTTPServer):
    """One thread a request."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], ear: Ear) -> None:
        super().__init__(address, _Handler)
        self.ear = ear


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10  # seconds for a request to come in

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY:
            self._answer(413)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._answer(self.server.ear.take(headers, self.rfile.read(int(length))))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: events are printed when they are verified."""
