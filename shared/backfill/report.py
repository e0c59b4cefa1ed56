"""The report in two forms: every row as JSON, and a table for a spreadsheet. Streams in, streams out."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
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
    table.write(table_line(COLUMNS))
    number = 0
    for report in reports:
        lines.write(report_line(report))
        table.write(table_row(report))
        number += 1
    return number


def report_line(report: RowReport) -> bytes:
    """A row as the report says it."""
    return json.dumps(report.to_json(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def table_row(report: RowReport) -> bytes:
    """A row as the table says it."""
    said = report.to_json()
    return table_line([_cell(said[name]) for name in COLUMNS])


def table_line(cells: Sequence[object]) -> bytes:
    """Cells as a line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    """A spreadsheet must not take a file's name for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
