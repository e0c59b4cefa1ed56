"""What is to be done with each row: nothing, for a reason that is reported, or a task."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from shared.backfill.journal import Journal
from shared.backfill.outputs import Collisions, output_of
from shared.backfill.rows import BackfillError, BadRow, Outcome, Row, RowReport, failed
from shared.imaging.limits import MAX_BYTES
from shared.options import WrongOriginal
from worker.backfill.pool import Task, options_of


@dataclass(frozen=True, slots=True)
class Done:
    """A row that needs no work; `content` as in the journal."""

    key: str
    report: RowReport
    stamp: str = ""
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A row whose outcome is in the journal."""

    key: str
    outcome: Outcome


@dataclass(slots=True)
class Plan:
    """Decides row by row; remembers what was given away. `base` is where relative sources begin."""

    base: Path
    output: Path
    template: str
    options: Mapping[str, Any]
    overwrite: bool
    journal: Journal | None
    originals: Mapping[str, str] = field(default_factory=dict)  # source -> original, of pairing
    _collisions: Collisions = field(default_factory=Collisions)
    _contents: dict[str, str] = field(default_factory=dict)  # digest -> source of the first row

    def decide(self, row: Row | BadRow) -> Done | Kept | Task:
        """What becomes of a row now."""
        if isinstance(row, BadRow):
            return Done(f"line {row.line}", failed(row, row.code, row.message))
        if row.original is None and row.source in self.originals:
            row = replace(row, original=self.originals[row.source])
        try:
            said = output_of(row, self.template)
        except BackfillError as error:
            return Done(f"{row.source}\tline {row.line}", failed(row, error.code, str(error)))
        if self._collisions.is_taken(said):
            message = f"{row.source}: an earlier row has the output {said} already; give it another in the manifest"
            return Done(f"{row.source}\t{said}\tline {row.line}", failed(row, "output_collision", message))
        return self._with_output(row, said, f"{row.source}\t{said}")

    def _with_output(self, row: Row, said: str, key: str) -> Done | Kept | Task:
        source, output = self.base / row.source, self.output / said
        try:
            state = source.stat()
            if not source.is_file() or state.st_size > MAX_BYTES:
                message = f"{source}: not a file, or larger than {MAX_BYTES >> 20} MiB; check it"
                return Done(key, failed(row, "file", message))
            if output.exists() and output.samefile(source) and not self.overwrite:
                message = f"{source}: its output would be written over it; choose another -o or output"
                return Done(key, failed(row, "would_overwrite_source", message))
            stamp = f"{state.st_size}/{state.st_mtime_ns}"
            kept = self._kept(row, key, stamp, output)
            if kept is not None:
                return kept
            content = self._content(source, row)
        except OSError as error:
            return Done(key, failed(row, "file", f"{source}: cannot be read ({error.strerror}); check name and rights"))
        original = None if row.original is None else self.base / row.original
        options = options_of(row, self.options)
        if row.original == self.originals.get(row.source):
            # Found by us, not named by anybody: where it turns out to be another photo, the network works alone.
            options = replace(options, on_wrong_original=WrongOriginal.UNGUIDED)
        return self._by_content(Task(row, source, output, said, original, options, key, stamp, content))

    def _kept(self, row: Row, key: str, stamp: str, output: Path) -> Kept | None:
        """An outcome that still holds: same source, and the output is there. Failed or canceled is tried again."""
        entry = None if self.journal is None else self.journal.entries.get(key)
        if entry is None or entry.stamp != stamp or entry.outcome in (Outcome.FAILED, Outcome.CANCELED):
            return None
        if entry.outcome in (Outcome.RESTORED, Outcome.SKIPPED_DONE) and not output.exists():
            return None
        if entry.content is not None:
            self._contents.setdefault(entry.content, row.source)
        return Kept(key, entry.outcome)

    def _by_content(self, task: Task) -> Done | Task:
        row = task.row
        first = self._contents.setdefault(task.content, row.source)
        begun = self.journal is not None and task.key in self.journal.begun
        if first != row.source:
            outcome, output = Outcome.DUPLICATE, None
        elif task.output.exists() and not self.overwrite and not begun:
            outcome, output = Outcome.SKIPPED_DONE, task.said_output
        else:
            return task
        report = RowReport(
            line=row.line,
            source=row.source,
            outcome=outcome,
            output=output,
            original=row.original,
            duplicate_of=first if outcome is Outcome.DUPLICATE else None,
            metadata=row.metadata,
        )
        return Done(task.key, report, task.stamp, task.content)

    def _content(self, source: Path, row: Row) -> str:
        """Digest of everything that decides the result."""
        with source.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
        asked = json.dumps([asdict(options_of(row, self.options)), row.original], sort_keys=True)
        digest.update(asked.encode())
        return digest.hexdigest()
