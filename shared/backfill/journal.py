"""What a local backfill remembers: one file that only grows, so that a kill at any moment loses no outcome.

Lines are JSON: first what the run is, then `begin` and `end` of rows. An outcome is on the disk before it counts.
A last line that was cut off is dropped; the row that it spoke of is done again.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from shared.backfill.rows import BackfillError, Outcome, RowReport

NAME: Final = ".regain-backfill.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """The last outcome of a row: where it stands in the file, and the source's state then."""

    at: int
    outcome: Outcome
    stamp: str
    content: str | None  # digest of photo and options


class Journal:
    """The journal of one output folder; held by one process at a time."""

    def __init__(self, folder: Path, run: Mapping[str, Any], *, afresh: bool = False) -> None:
        """Open or begin a journal; `afresh`: what an earlier, finished run did is done again.

        Raises:
            BackfillError: another process has it, it is of another run, damaged, or cannot be written.
        """
        self.path = folder / NAME
        self.entries: dict[str, Entry] = {}
        self.begun: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
        except OSError as error:
            raise BackfillError(
                "not_writable", f"{folder}: cannot be written ({error.strerror}); choose another folder with -o"
            ) from error
        try:
            self._lock()
            finished = self._load(run)
        except BaseException:
            self._file.close()
            raise
        if finished and afresh:
            self._file.truncate(0)
            self.entries.clear()
            self.begun.clear()
        if self._file.seek(0, os.SEEK_END) == 0:
            self._append({"run": dict(run)}, sync=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def begin(self, key: str) -> None:
        """A row's output may appear from now on."""
        self._append({"begin": key}, sync=False)

    def end(self, key: str, report: RowReport, stamp: str, content: str | None) -> None:
        """A row has its outcome."""
        line = {"end": key, "stamp": stamp, "content": content, "report": report.to_json()}
        at = self._append(line, sync=True)
        self.entries[key] = Entry(at, report.outcome, stamp, content)
        self.begun.discard(key)

    def finish(self) -> None:
        """Every row has its outcome."""
        self._append({"finished": True}, sync=True)

    def reports(self, keys: Iterator[str]) -> Iterator[RowReport]:
        """The last word on each of these rows."""
        with self.path.open("rb") as stream:
            for key in keys:
                stream.seek(self.entries[key].at)
                said = json.loads(stream.readline())["report"]
                yield RowReport(**said | {"outcome": Outcome(said["outcome"])})

    def _append(self, line: Mapping[str, Any], *, sync: bool) -> int:
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())
        return at

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BackfillError(
                "already_running", f"{self.path.parent}: another backfill writes there; wait for it, or choose -o"
            ) from error

    def _load(self, run: Mapping[str, Any]) -> bool:
        """Read what is there and cut off a half-written last line; whether the last run was finished."""
        self._file.seek(0)
        finished, at = False, 0
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(at)
                break
            finished = self._take(line, at, run)
            at += len(line)
        return finished

    def _take(self, line: bytes, at: int, run: Mapping[str, Any]) -> bool:
        try:
            said = json.loads(line)
            if "run" in said and said["run"] != json.loads(json.dumps(run)):
                raise BackfillError(
                    "another_run",
                    f"{self.path}: is of a backfill with another source, model or options; choose another folder with "
                    "-o, or delete that file to begin anew",
                )
            if "begin" in said:
                self.begun.add(said["begin"])
            elif "end" in said:
                outcome = Outcome(said["report"]["outcome"])
                self.entries[said["end"]] = Entry(at, outcome, said["stamp"], said["content"])
                self.begun.discard(said["end"])
            return bool(said.get("finished"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackfillError(
                "damaged_journal", f"{self.path}: damaged at byte {at}; delete it to begin anew"
            ) from error
