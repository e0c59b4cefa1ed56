"""A journal survives a kill at any byte, and serves one run in one process."""

from pathlib import Path

import pytest

from shared.backfill.journal import NAME, Journal
from shared.backfill.rows import BackfillError, Outcome, RowReport

RUN = {"source": "library", "options": {"strength": 1.0}}


def report(number: int) -> RowReport:
    return RowReport(line=number, source=f"{number}.jpg", outcome=Outcome.RESTORED)


def test_a_cut_at_every_byte_loses_at_most_the_last_line(tmp_path: Path) -> None:
    with Journal(tmp_path, RUN) as journal:
        for number in range(3):
            journal.begin(f"k{number}")
            journal.end(f"k{number}", report(number), "stamp", None)
    whole = (tmp_path / NAME).read_bytes()
    for size in range(len(whole)):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / NAME).write_bytes(whole[:size])
        with Journal(folder, RUN) as journal:
            known = list(journal.entries)
            assert known == [f"k{number}" for number in range(len(known))]
            assert len(known) == whole[:size].count(b'"end"') - (
                not whole[:size].endswith(b"\n") and _cut_end(whole, size)
            )
            journal.end("again", report(9), "stamp", None)
        with Journal(folder, RUN) as journal:
            assert list(journal.entries) == [*known, "again"]
            assert [found.line for found in journal.reports(iter(journal.entries))] == [*range(len(known)), 9]


def _cut_end(whole: bytes, size: int) -> bool:
    """Whether the last, cut-off line is the end of a row."""
    return b'"end"' in whole[whole.rfind(b"\n", 0, size) + 1 : size]


def test_begun_rows_are_known(tmp_path: Path) -> None:
    with Journal(tmp_path, RUN) as journal:
        journal.begin("a")
        journal.begin("b")
        journal.end("a", report(1), "stamp", "content")
    with Journal(tmp_path, RUN) as journal:
        assert journal.begun == {"b"}
        assert journal.entries["a"].content == "content"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path, RUN), pytest.raises(BackfillError, match="another backfill"):
        Journal(tmp_path, RUN)
    Journal(tmp_path, RUN).__exit__(None, None, None)


def test_another_run_and_damage_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, RUN):
        pass
    with pytest.raises(BackfillError, match="another source, model or options"):
        Journal(tmp_path, {"source": "other"})
    (tmp_path / NAME).write_bytes(b'{"end": 1}\n{"run": {}}\n')
    with pytest.raises(BackfillError, match="damaged at byte 0"):
        Journal(tmp_path, RUN)


def test_only_a_finished_run_begins_afresh(tmp_path: Path) -> None:
    with Journal(tmp_path, RUN) as journal:
        journal.end("a", report(1), "stamp", None)
    with Journal(tmp_path, RUN, afresh=True) as journal:
        assert list(journal.entries) == ["a"]
        journal.finish()
    with Journal(tmp_path, RUN, afresh=True) as journal:
        assert not journal.entries
