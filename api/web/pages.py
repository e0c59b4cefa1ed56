"""The service's page: files as they are, behind a policy under which nothing foreign and nothing inline runs."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, request, send_from_directory

from api.services import services

STATIC: Final = Path(__file__).parent / "static"
TYPES: Final = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}

pages = Blueprint("pages", __name__)


def register(app: Flask) -> None:
    """Serve the page. Called before keys are asked for: a browser sends none for a page or its script."""
    app.register_blueprint(pages)

    @app.before_request
    def answer_open() -> Response | None:
        if request.blueprint != pages.name or request.endpoint is None:
            return None
        return app.make_response(app.view_functions[request.endpoint](**(request.view_args or {})))  # type: ignore[arg-type]


@pages.get("/")
def restore() -> Response:
    """Drop photos, watch them, see what came."""
    return _file("restore.html")


@pages.get("/audit")
def audit() -> Response:
    """Look into a file."""
    return _file("audit.html")


@pages.get("/static/<string:name>")
def static_file(name: str) -> Response:
    """A style, a script or the icon."""
    return _file(name)


def _file(name: str) -> Response:
    kind = TYPES.get(Path(name).suffix, "application/octet-stream")
    response = send_from_directory(STATIC, name, mimetype=kind, conditional=True, etag=True)
    response.headers["Cache-Control"] = "no-cache"  # asked for each time, and answered 304
    response.headers["Content-Security-Policy"] = _policy()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _policy() -> str:
    """Results may be fetched from where their links lead; nothing else leaves this host."""
    settings = services().settings
    store = settings.s3_public_endpoint or settings.s3_endpoint
    origin = "" if not store else " {0.scheme}://{0.netloc}".format(urlsplit(store))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        f"connect-src 'self'{origin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
