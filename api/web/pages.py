"""The service's page: files as they are, behind a policy under which nothing foreign and nothing inline runs."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, request, send_from_directory

from api.services import services
from shared.object_store import StoreError
from shared.settings import StoreKind

STATIC: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}

PAGES: Final = {"/": "restore.html", "/batches": "batches.html", "/audit": "audit.html", "/insights": "insights.html"}
FOLDER: Final = "/static/"
BEACON: Final = "beacon.js"
LINK_LIFE: Final = timedelta(minutes=1)  # of a link that nobody follows


def register(app: Flask) -> None:
    """Serve the page; it is no endpoint of the API and holds no data.

    Called before keys are asked for: a browser sends none for a page or its script.
    """

    @app.before_request
    def answer_page() -> Response | None:
        if request.method not in ("GET", "HEAD"):
            return None
        name = PAGES.get(request.path)
        if name is None and request.path.startswith(FOLDER):
            name = request.path.removeprefix(FOLDER)
        return None if name is None else _file(name)


def _file(name: str) -> Response:
    kind = TYPES.get(Path(name).suffix, "application/octet-stream")
    if name == BEACON and not services().settings.insights:
        response = Response(mimetype=kind)  # a script that sends nothing
    else:
        response = send_from_directory(STATIC, name, mimetype=kind, conditional=True, etag=True)
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
