"""One run over local files: rows to outcomes, each written down before it counts."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from shared.backfill.journal import Journal
from shared.backfill.report import write_reports
from shared.backfill.rows import BadRow, Row
from shared.backfill.tally import Tally
from shared.files import whole_file
from worker.backfill.plan import Done, Kept, Plan
from worker.backfill.pool import Pool, Task

REPORT: Final = "backfill-report.jsonl"
SUMMARY: Final = "backfill-summary.csv"


def run(  # noqa: PLR0913, PLR0917  (a run is made of these)
    rows: Iterable[Row | BadRow], plan: Plan, journal: Journal, pool: Pool, tell: Callable[[Tally], None], tally: Tally
) -> None:
    """Do every row; `tell` after each.

    Raises:
        KeyboardInterrupt: stopped by Ctrl-C; what had begun is finished and written down.
        ClientError: a service refuses the run as a whole, or is away for too long; the same holds.
    """
    tally.begin(time.monotonic())
    keys: list[str] = []
    try:
        try:
            for row in rows:
                _one(row, plan, journal, pool, tally, keys)
                tell(tally)
                while pool.is_full:
                    _collect(pool, journal, tally, tell)
            while not pool.is_idle:
                _collect(pool, journal, tally, tell)
        except BaseException:
            pool.close()
            raise
        finally:
            while not pool.is_idle:
                _collect(pool, journal, tally, tell)
        if not tally.failed:
            journal.finish()
    finally:
        _report(journal, keys, plan.output)


def _one(  # noqa: PLR0913, PLR0917  (a run is made of these)
    row: Row | BadRow, plan: Plan, journal: Journal, pool: Pool, tally: Tally, keys: list[str]
) -> None:
    decided = plan.decide(row)
    keys.append(decided.key)
    if isinstance(decided, Kept):
        tally.add(decided.outcome)
    elif isinstance(decided, Done):
        journal.end(decided.key, decided.report, decided.stamp, decided.content)
        tally.add(decided.report.outcome)
    else:
        _clean(decided, journal)
        journal.begin(decided.key)
        pool.give(decided)


def _collect(pool: Pool, journal: Journal, tally: Tally, tell: Callable[[Tally], None]) -> None:
    for task, report in pool.take():
        journal.end(task.key, report, task.stamp, task.content)
        tally.add(report.outcome, time.monotonic())
    tell(tally)


def _clean(task: Task, journal: Journal) -> None:
    """Take away the half-written file that a killed run left of this very output."""
    if task.key in journal.begun and task.output.parent.is_dir():
        prefix = f".{task.output.name}."
        for path in task.output.parent.iterdir():
            if path.name.startswith(prefix):
                path.unlink(missing_ok=True)


def _report(journal: Journal, keys: list[str], folder: Path) -> None:
    """Both reports over what is done so far."""
    known = (key for key in keys if key in journal.entries)
    with whole_file(folder / REPORT) as lines, whole_file(folder / SUMMARY) as table:
        write_reports(journal.reports(known), lines, table)
