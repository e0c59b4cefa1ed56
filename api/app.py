"""Puts the API together. Nothing is connected until a request needs it, so that a fork shares nothing."""

from typing import Final

from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from api import auth, bodies, limits, problems, server_errors, services
from api.answers import ProblemView
from api.audit import audits
from api.batches import batches
from api.documents import documents
from api.events import events
from api.health import health
from api.jobs import jobs
from api.metrics import metrics_calls
from api.objects import objects
from api.results import results
from api.uploads import uploads
from api.web import pages
from api.webhooks import webhooks
from shared.settings import ServiceSettings

VERSION: Final = "1.0.0"
_KEY: Final = {"type": "http", "scheme": "bearer", "description": "`regain keys create` makes one"}


class _InOrder(DefaultJSONProvider):
    """JSON with its members as they were written."""

    sort_keys = False


def create_app(settings: ServiceSettings) -> OpenAPI:
    """The WSGI application of one process."""
    app = OpenAPI(
        "api",
        info=Info(
            title="Regain", version=VERSION, description="Gives photos their HDR gain map back. Errors: /problems."
        ),
        security_schemes={"key": _KEY},
        validation_error_status=422,
        validation_error_model=ProblemView,
        validation_error_callback=problems.answer_validation,
        doc_ui=False,
        static_folder=None,
    )
    app.json = _InOrder(app)
    app.url_map.strict_slashes = True
    problems.register(app)
    server_errors.register(app)
    services.install(app, settings)
    # The order counts: who asks, then how often, then what is sent.
    pages.register(app)
    auth.register(app)
    limits.register(app, settings)
    bodies.register(app)
    for blueprint in (
        jobs,
        results,
        events,
        batches,
        uploads,
        webhooks,
        audits,
        objects,
        health,
        metrics_calls,
        documents,
    ):
        app.register_api(blueprint)
    return app
