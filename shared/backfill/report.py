"""The report in two forms: every row as JSON, and a table for a spreadsheet. Streams in, streams out."""

import csv
import io
import json
from collections.abc import Iterable
from typing import IO, Final

from shared.backfill.rows import RowReport

COLUMNS: Final = (
    "line",
    "source",
    "outcome",
    "error_code",
    "output",
    "original",
    "duplicate_of",
    "confidence",
    "seconds",
    "job",
    "error_message",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_reports(reports: Iterable[RowReport], lines: IO[bytes], table: IO[bytes]) -> int:
    """Write both; how many rows there were."""
    text = io.TextIOWrapper(table, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    number = 0
    for report in reports:
        said = report.to_json()
        lines.write(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        writer.writerow([_cell(said[name]) for name in COLUMNS])
        number += 1
    text.detach()  # the caller's stream stays open
    return number


def _cell(value: object) -> object:
    """A spreadsheet must not take a file's name for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
