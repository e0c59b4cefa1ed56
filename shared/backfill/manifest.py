"""Reading manifests line by line, in bounded memory: JSONL, or CSV with a header.

A row is one line in both forms, so that a stray quote spoils its own line and no other.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, BinaryIO, Final

from shared.backfill.rows import BackfillError, BadRow, Row
from shared.errors import RestoreError
from shared.options import Options

LINE_BYTES: Final = 1 << 16  # the longest line
BLOCK_BYTES: Final = 1 << 18  # read at once
NAME_CHARS: Final = 1024  # of a source, an original or an output
FIELDS: Final = ("source", "original", "output", "options", "metadata")
_OPTIONS: Final = frozenset(Options.__dataclass_fields__)
# In a CSV `metadata` is the row's own; the option of that name stands in `options`.
_COLUMNS: Final = _OPTIONS - set(FIELDS)
_TEXTS: Final = frozenset({"on_wrong_original"})
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Form(StrEnum):
    """How a manifest is written."""

    JSONL = "jsonl"
    CSV = "csv"


class _BadLineError(ValueError):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def form_of(name: str) -> Form:
    """The form that a manifest's name tells.

    Raises:
        BackfillError: `unknown_manifest`.
    """
    for ending, form in ((".jsonl", Form.JSONL), (".ndjson", Form.JSONL), (".csv", Form.CSV)):
        if name.lower().endswith(ending):
            return form
    raise BackfillError("unknown_manifest", f"{name}: a manifest's name ends in .jsonl, .ndjson or .csv; rename it")


def read_manifest(stream: BinaryIO, form: Form, after: int = 0) -> Iterator[Row | BadRow]:
    """Every row behind line `after`; empty lines are no rows.

    Raises:
        BackfillError: `bad_header`: a CSV's first line is no header.
    """
    columns: list[str] | None = None
    for number, line in enumerate(_lines(stream), 1):
        if form is Form.CSV and columns is None:
            columns = _header(line)
            continue
        if number <= after or (line is not None and not line.strip()):
            continue
        yield _row(number, line, columns)


def _row(number: int, line: bytes | None, columns: list[str] | None) -> Row | BadRow:
    try:
        text = _text(number, line)
        fields = _from_json(text) if columns is None else _from_csv(text, columns)
        return _checked(number, fields)
    except _BadLineError as error:
        return BadRow(number, error.code, f"line {number}: {error}")


def _text(number: int, line: bytes | None) -> str:
    if line is None:
        raise _BadLineError("line_too_long", f"longer than {LINE_BYTES >> 10} KiB")
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
    except UnicodeDecodeError as error:
        raise _BadLineError("not_utf8", "not UTF-8: save the manifest as UTF-8") from error


def _lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """The lines; None in place of one that is too long, which is never held whole."""
    rest, too_long = b"", False
    while block := stream.read(BLOCK_BYTES):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield None if too_long or len(line) > LINE_BYTES else line
            too_long = False
        if len(rest) > LINE_BYTES:
            rest, too_long = b"", True
    if rest or too_long:
        yield None if too_long else rest


def _header(line: bytes | None) -> list[str]:
    try:
        columns = next(csv.reader([(line or b"").decode("utf-8-sig").strip("\r\n")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        columns = []
    columns = [name.strip() for name in columns]
    known = {*FIELDS, *_COLUMNS}
    if "source" not in columns or not set(columns) <= known or len(set(columns)) != len(columns):
        raise BackfillError(
            "bad_header",
            f"line 1: a CSV manifest begins with its columns, `source` and any of {', '.join(sorted(known))}",
        )
    return columns


def _from_json(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _BadLineError("not_json", "not JSON: write one object a line") from error
    if not isinstance(value, dict):
        raise _BadLineError("not_an_object", "not a JSON object: write one object a line")
    return value


def _from_csv(text: str, columns: list[str]) -> Mapping[str, Any]:
    try:
        cells = next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise _BadLineError("not_csv", "not CSV: a quote is not closed, or stands inside a field") from error
    if len(cells) != len(columns):
        raise _BadLineError("wrong_columns", f"{len(cells)} fields where the header has {len(columns)}")
    found: dict[str, Any] = {name: cell for name, cell in zip(columns, cells, strict=True) if cell != ""}
    for name in ("options", "metadata"):
        if name in found:
            found[name] = _from_json(found[name])
    for name in _COLUMNS & found.keys():
        found.setdefault("options", {})
        found["options"][name] = _value(name, found.pop(name))
    return found


def _value(name: str, cell: str) -> Any:
    if name == "replace":
        if cell.lower() not in _FLAGS:
            raise _BadLineError("bad_option", f"{name} is {cell[:40]!r}: write true or false")
        return _FLAGS[cell.lower()]
    if name in _TEXTS:
        return cell
    try:
        return float(cell)
    except ValueError as error:
        raise _BadLineError("bad_option", f"{name} is {cell[:40]!r}: write a number") from error


def _checked(number: int, fields: Mapping[str, Any]) -> Row:
    unknown = fields.keys() - set(FIELDS)
    if unknown:
        raise _BadLineError("unknown_field", f"there is no field {min(unknown)[:40]!r}: use {', '.join(FIELDS)}")
    names = {}
    for name in ("source", "original", "output"):
        value = fields.get(name)
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= NAME_CHARS and value.isprintable()):
            raise _BadLineError(f"bad_{name}", f"{name} must be a printable text of 1 to {NAME_CHARS} characters")
        names[name] = value
    if names["source"] is None:
        raise _BadLineError("bad_source", "there is no source: name the photo")
    options, metadata = fields.get("options"), fields.get("metadata")
    if not isinstance(options, dict | None) or not isinstance(metadata, dict | None):
        raise _BadLineError("not_an_object", "options and metadata must be JSON objects")
    try:
        json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # what JSON or UTF-8 cannot say could not be given back
        raise _BadLineError("bad_metadata", "metadata holds NaN, Infinity or half a character: leave it out") from error
    return Row(number, names["source"], names["original"], names["output"], check_options(options or {}), metadata)


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A row's own options, if the pipeline takes them.

    Raises:
        ValueError: it does not.
    """
    if not options.keys() <= _OPTIONS:
        raise _BadLineError("bad_option", f"there is no option {min(options.keys() - _OPTIONS)[:40]!r}")
    if not isinstance(options.get("replace", False), bool):
        raise _BadLineError("bad_option", "replace must be true or false")
    try:
        Options(**options)
    except RestoreError as error:
        raise _BadLineError(error.code, str(error)) from error
    except (TypeError, ValueError) as error:
        raise _BadLineError("bad_option", "an option has the wrong type: numbers, and true or false") from error
    return dict(options)
