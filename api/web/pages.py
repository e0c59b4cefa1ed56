"""The service's pages: one frame around each, and files as they are.

A policy goes with every answer, under which nothing foreign and nothing inline runs.
"""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, request, send_from_directory
from jinja2 import Environment, FileSystemLoader

from api.services import services
from shared.object_store import StoreError
from shared.settings import StoreKind

STATIC: Final = Path(__file__).parent / "static"
TEMPLATES: Final = Path(__file__).parent / "templates"
TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}

PAGES: Final = {"/": "restore", "/batches": "batches", "/audit": "audit", "/insights": "insights"}
FOLDER: Final = "/static/"
BEACON: Final = "beacon.js"
LINK_LIFE: Final = timedelta(minutes=1)  # of a link that nobody follows


def register(app: Flask) -> None:
    """Serve the pages; they are no endpoint of the API and hold no data.

    Called before keys are asked for: a browser sends none for a page or its script.
    """
    frame = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, keep_trailing_newline=True
    )
    pages = {
        path: frame.get_template(f"{name}.html").render(path=path, name=name).encode() for path, name in PAGES.items()
    }

    @app.before_request
    def answer_page() -> Response | None:
        if request.method not in ("GET", "HEAD"):
            return None
        if request.path in pages:
            return _guarded(_page(pages[request.path]))
        return _guarded(_file(request.path.removeprefix(FOLDER))) if request.path.startswith(FOLDER) else None


def _page(html: bytes) -> Response:
    response = Response(html, mimetype="text/html")
    response.add_etag()
    response.make_conditional(request)
    return response


def _file(name: str) -> Response:
    kind = TYPES.get(Path(name).suffix, "application/octet-stream")
    if name == BEACON and not services().settings.insights:
        return Response(mimetype=kind)  # a script that sends nothing
    return send_from_directory(STATIC, name, mimetype=kind, conditional=True, etag=True)


def _guarded(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-cache"  # asked for each time, and answered 304
    response.headers["Content-Security-Policy"] = _policy()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _policy() -> str:
    """Results may be fetched from where their links lead; nothing else leaves this host."""
    origin = ""
    if services().settings.store is StoreKind.S3:
        with suppress(StoreError):
            # A link of the store's own says best where they lead: endpoint, bucket and region make its host.
            origin = " {0.scheme}://{0.netloc}".format(urlsplit(services().store.url("results/any", LINK_LIFE)))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        f"connect-src 'self'{origin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
