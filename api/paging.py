"""Cursors of lists, and times as callers write them."""

import base64
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from flask import json

from api.problems import ProblemError

Row = TypeVar("Row")


def cut(found: list[Row], limit: int, cursor_of: Callable[[Row], str]) -> tuple[list[Row], str | None]:
    """A page, and the cursor of the next; `found` was asked for one row more, which says whether there is a next."""
    page = found[:limit]
    return page, cursor_of(page[-1]) if len(found) > limit else None


def cursor_at(created: float, row_id: str) -> str:
    """The cursor of the page that follows this row."""
    return base64.urlsafe_b64encode(json.dumps([created, row_id]).encode()).decode().rstrip("=")


def position(cursor: str) -> tuple[float, str]:
    """When the last row of the page before was made, and its id.

    Raises:
        ProblemError: `bad_cursor`.
    """
    with suppress(ValueError, TypeError, RecursionError):
        padded = cursor + "=" * (-len(cursor) % 4)
        created, row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if isinstance(created, float) and isinstance(row_id, str) and re.fullmatch(r"[0-9a-f]{32}", row_id):
            return created, row_id
    raise ProblemError("bad_cursor", "cursor: take it from `next` of the page before")


def cursor_behind(line: int) -> str:
    """The cursor of the page that follows this line."""
    return base64.urlsafe_b64encode(str(line).encode()).decode().rstrip("=")


def line_of(cursor: str) -> int:
    """The last line of the page before.

    Raises:
        ProblemError: `bad_cursor`.
    """
    with suppress(ValueError):
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        if re.fullmatch(r"[1-9]\d{0,8}", text):
            return int(text)
    raise ProblemError("bad_cursor", "cursor: take it from `next` of the page before")


def seconds(name: str, text: str) -> float:
    """A time as seconds since 1970; UTC where it does not say.

    Raises:
        ProblemError: `invalid_request`.
    """
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise ProblemError("invalid_request", f"{name}: not a time; write one such as 2026-11-24T20:00:00Z")
