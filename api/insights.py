"""Who can see HDR: the page's beacon, which says nothing of a person, and what was counted."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Response, jsonify, request
from pydantic import Field

from api import contract
from api.answers import InsightView
from api.intake import json_body
from api.problems import ProblemError
from api.schemas import Query, Strict
from api.services import services
from shared.database import insight_store
from shared.database.insight_store import GROUPS, Row
from shared.insights import DynamicRange, Family, Gamut, Reading, Renderer, Share, day_of

MAX_BODY: Final = 1024  # bytes of a reading
MAX_DAYS: Final = 400
DECIMALS: Final = 4  # of a share


class ViewBody(Strict):
    """What a view of the page tells; nothing else is taken."""

    dynamic_range: DynamicRange = Field(description="CSS's `dynamic-range`")
    gamut: Gamut = Field(description="CSS's `color-gamut`, the widest that holds")
    renderer: Renderer = Field(description="who made the graphics unit")
    browser: Family


class InsightQuery(Query):
    """Which days."""

    days: int = Field(default=30, ge=1, le=MAX_DAYS, description="up to today, UTC")


insights = contract.group("insights")
# The beacon's own group: a page has no key when it is opened.
beacons = contract.group("beacons", key=False)
_VIEW: Final = contract.body({"application/json": contract.register(beacons, ViewBody)})


@beacons.post("/insights/views", responses={"204": contract.empty("Counted, or not wanted")}, openapi_extensions=_VIEW)
def count_view() -> Response:
    """Count a view of the page.

    Nothing is counted where the browser asks not to be (`DNT: 1` or `Sec-GPC: 1`); the address is never stored.
    """
    if not services().settings.insights:
        raise ProblemError("insights_off", "this service does not count who can see HDR: send nothing")
    told = ViewBody.model_validate(json_body(MAX_BODY))
    if not _declined():
        reading = Reading(told.dynamic_range, told.gamut, told.renderer, told.browser)
        agent = request.headers.get("User-Agent", "")
        with services().database.begin() as connection:
            insight_store.count_view(connection, day_of(time.time()), request.remote_addr or "", agent, reading)
    return Response(status=204)


@insights.get("/insights/hdr", responses={"200": InsightView})
def hdr(query: InsightQuery) -> Response:
    """Show which share can see HDR, by visitor and by view, with 95 % intervals; the key needs `metrics`."""
    today = datetime.now(UTC).date()
    first, last = (today - timedelta(days=query.days - 1)).isoformat(), today.isoformat()
    with services().database.read() as connection:
        whole = insight_store.total(connection, first, last)
        groups = {group: insight_store.shares(connection, first, last, group) for group in GROUPS}
    return jsonify(
        {
            "counting": services().settings.insights,
            "first_day": first,
            "last_day": last,
            "confidence": 0.95,
            "total": _row(whole),
            "by": {group: [{"value": row.group, **_row(row)} for row in rows] for group, rows in groups.items()},
        }
    )


def _declined() -> bool:
    """Do Not Track (W3C TPE, section 5.2) or Global Privacy Control (section 3.2): the header's value is 1."""
    return any(request.headers.get(name, "").strip() == "1" for name in ("DNT", "Sec-GPC"))


def _row(row: Row) -> dict[str, Any]:
    return {"visitors": _share(row.visitors), "events": _share(row.events)}


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval or (None, None)
    return {
        "hdr": share.high,
        "all": share.all,
        "share": _rounded(share.value),
        "low": _rounded(low),
        "high": _rounded(high),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
