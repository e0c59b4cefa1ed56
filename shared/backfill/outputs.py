"""Where a row's output goes: by its own word or by a template, never outside, never twice."""

import re
import string
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from shared.backfill.rows import BackfillError, Row

TEMPLATE: Final = "{dir}/{stem}_hdr.jpg"
FIELDS: Final = ("dir", "stem", "name", "ext")  # folder, name without ending, name, ending without its dot
_DIGEST_BYTES: Final = 8  # of a remembered output: a chance of 3 in 10^8 of a false collision in a million


def check_template(template: str) -> str:
    """The template itself, if it can make names.

    Raises:
        BackfillError: `bad_template`.
    """
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
        plain = not re.search(r"{[^}]*[:!]", template)
    except ValueError:
        fields, plain = [], False
    if not plain or not set(fields) <= set(FIELDS) or not {"stem", "name"} & set(fields):
        raise BackfillError(
            "bad_template",
            f"the template {template[:80]!r} cannot be used: write one such as {TEMPLATE}, of {{dir}}, {{stem}}, "
            "{name} and {ext}",
        )
    return template


def output_of(row: Row, template: str, below: str = "") -> str:
    """A row's output as a relative path with slashes; `below` is what of the source's folder is left out.

    Raises:
        BackfillError: `bad_output`: it would leave the output folder.
    """
    if row.output is not None:
        return _inside(row.output)
    path = PurePosixPath(_path(row.source, below))
    folder = "/".join(part for part in path.parent.parts if part not in ("/", "..", "."))
    made = template.format(dir=folder, stem=path.stem, name=path.name, ext=path.suffix.lstrip("."))
    return _inside(made.lstrip("/"))


def digest_of(output: str) -> int:
    """What two outputs are told apart by, a signed number of 64 bits. Case does not tell two apart."""
    digest = blake2b(output.casefold().encode(), digest_size=_DIGEST_BYTES).digest()
    return int.from_bytes(digest, "big", signed=True)


class Collisions:
    """Outputs that were given away: a second row with the same one is told so."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def is_taken(self, output: str) -> bool:
        """Whether an earlier row has this output; else it is taken from now on."""
        digest = digest_of(output)
        if digest in self._seen:
            return True
        self._seen.add(digest)
        return False


def _path(source: str, below: str) -> str:
    if source.startswith("upload:"):
        return source.removeprefix("upload:")
    if "://" in source:
        parts = urlsplit(source) if not source.startswith("s3://") else None
        path = source.removeprefix("s3://").partition("/")[2] if parts is None else parts.path
    else:
        path = source.replace("\\", "/")
    return path.removeprefix(below).lstrip("/")


def _inside(output: str) -> str:
    parts = output.replace("\\", "/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise BackfillError(
            "bad_output", f"the output {output[:80]!r} is not a path below the output folder: leave out '..' and '//'"
        )
    return "/".join(parts)
