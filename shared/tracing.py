"""OpenTelemetry, where an operator asks for it: one trace from a request over its message to the job.

On where OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra `otel` is installed; the SDK reads its other standard
variables (service name, headers, sampler) itself. A message that the dispatcher sends carries no context: its job is
then a trace of its own, with the job's id as its message id.
"""

import os
from typing import TYPE_CHECKING, Final

import structlog

from shared.settings import ServiceSettings

if TYPE_CHECKING:
    from flask import Flask
    from opentelemetry.sdk.trace import TracerProvider

try:
    from opentelemetry import propagate
except ImportError:
    propagate = None  # type: ignore[assignment]

QUIET: Final = "healthz,readyz,metrics"  # addresses that are asked every few seconds by machines
_MISSING: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: "
    "pip install --require-hashes -r requirements/otel.txt, or unset it"
)
log = structlog.get_logger()


def trace_requests(app: "Flask", settings: ServiceSettings) -> None:
    """Make a span of every request; to be called after a fork."""
    provider = _provider(settings, "api")
    if provider is not None:
        from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415

        FlaskInstrumentor().instrument_app(app, tracer_provider=provider, excluded_urls=QUIET)  # type: ignore[no-untyped-call]


def trace_tasks(settings: ServiceSettings) -> None:
    """Make a span of every task, below the one that its message names; to be called after a fork."""
    provider = _provider(settings, "worker")
    if provider is not None:
        from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415

        CeleryInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]


def message_headers() -> dict[str, str]:
    """What a message carries of the trace that it is sent in; nothing outside of one.

    The instrumentation of Celery would add it as well, but never ends the span of a task that is sent by name.
    """
    headers: dict[str, str] = {}
    if propagate is not None:
        propagate.inject(headers)
    return headers


def _provider(settings: ServiceSettings, process: str) -> "TracerProvider | None":
    """Where spans go; None: tracing is off."""
    if settings.otel_endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.warning("tracing_is_off", reason=_MISSING)
        return None
    os.environ.setdefault("OTEL_SERVICE_NAME", f"regain-{process}")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
