"""An OpenTelemetry collector on loopback: keeps the spans that arrive over OTLP/HTTP."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Span:
    """What the tests look at."""

    service: str
    name: str
    trace: str
    id: str
    parent: str  # empty: a root
    attributes: dict[str, str]


@dataclass
class Collector:
    """Where spans go, and those that came."""

    url: str
    spans: list[Span] = field(default_factory=list)

    def named(self, service: str, start: str) -> list[Span]:
        """A service's spans whose names start so."""
        return [span for span in list(self.spans) if span.service == service and span.name.startswith(start)]


@contextmanager
def collector() -> Iterator[Collector]:
    """A running collector."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.spans.extend(_spans(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the console."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def _spans(body: bytes) -> Iterator[Span]:
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = {entry.key: entry.value.string_value for entry in group.resource.attributes}["service.name"]
        for scope in group.scope_spans:
            for span in scope.spans:
                attributes = {entry.key: entry.value.string_value for entry in span.attributes}
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                yield Span(service, span.name, *ids, attributes)
