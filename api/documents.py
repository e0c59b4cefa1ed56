"""The API's own pages: the OpenAPI document, a list of the calls, and the table of problem codes."""

from html import escape
from typing import Any, Final, cast

from flask import Response, current_app, jsonify
from flask_openapi3.openapi import OpenAPI

from api import contract
from api.problems import TABLE

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}"
    "tr:target{background:#ffd}code{white-space:nowrap}@media(prefers-color-scheme:dark)"
    "{body{background:#111;color:#ddd}a{color:#8cf}tr:target{background:#442}}"
)

documents = contract.group("documents", "", key=False)


@documents.get("/openapi.json", doc_ui=False)
def openapi() -> Response:
    """The OpenAPI 3.1 document of this very process."""
    return jsonify(cast(OpenAPI, current_app).api_doc)


@documents.get("/docs", doc_ui=False)
def docs() -> Response:
    """Every call on one page, without a script."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {escape(path)}</code></td><td>{escape(_said(operation))}</td></tr>"
        for path, item in cast(OpenAPI, current_app).api_doc["paths"].items()
        for method, operation in item.items()
    )
    return _page(
        "Regain API",
        '<p>Send a key as <code>Authorization: Bearer rgn_…</code>. Machines read <a href="/openapi.json">'
        'openapi.json</a>; every error is in <a href="/problems">the table of problems</a>.</p>'
        f"<table><tr><th>Call</th><th>What</th></tr>{rows}</table>",
    )


@documents.get("/problems", doc_ui=False)
def problem_table() -> Response:
    """What each `type` and `code` of a problem means."""
    rows = "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{kind.status}</td><td>{escape(kind.title)}</td></tr>'
        for code, kind in TABLE.items()
    )
    return _page("Problems", f"<table><tr><th>Code</th><th>Status</th><th>Meaning</th></tr>{rows}</table>")


def _said(operation: dict[str, Any]) -> str:
    return " ".join(str(operation.get(part, "")) for part in ("summary", "description")).replace("<br/>", " ").strip()


def _page(title: str, body: str) -> Response:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    page = f"<!doctype html><html lang=en>{head}<style>{_STYLE}</style><h1>{title}</h1>{body}</html>"
    return Response(
        page, mimetype="text/html", headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    )
