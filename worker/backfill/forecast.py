"""What a run would do, and how long it may take; nothing is written."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.backfill.rows import BadRow, Outcome, Row, RowReport
from shared.errors import RestoreError
from worker import pipeline
from worker.backfill.looking import is_hdr
from worker.backfill.plan import Done, Plan
from worker.backfill.pool import Task
from worker.predictors import Predictor

SAMPLES: Final = 3  # photos that are restored in memory to measure


@dataclass(frozen=True, slots=True)
class Forecast:
    """Rows to be restored, what becomes of the others, and the seconds of one process, where measured."""

    to_restore: int
    others: Counter[Outcome]
    failures: tuple[RowReport, ...]
    seconds_each: float | None


def forecast(rows: Iterable[Row | BadRow], plan: Plan, predictor: Predictor | None) -> Forecast:
    """Go through every row and restore the first few in memory, where there is a predictor."""
    others: Counter[Outcome] = Counter()
    failures: list[RowReport] = []
    spent: list[float] = []
    number = 0
    for row in rows:
        decided = plan.decide(row)
        if isinstance(decided, Task):
            if not decided.options.replace and is_hdr(decided.source):
                others[Outcome.UNCHANGED] += 1
                continue
            number += 1
            if predictor is not None and len(spent) < SAMPLES:
                spent += _measure(decided, predictor)
            continue
        outcome = decided.report.outcome if isinstance(decided, Done) else decided.outcome
        others[outcome] += 1
        if isinstance(decided, Done) and outcome is Outcome.FAILED:
            failures.append(decided.report)
    return Forecast(number, others, tuple(failures), sum(spent) / len(spent) if spent else None)


def _measure(task: Task, predictor: Predictor) -> list[float]:
    """The seconds of one photo, if it can be restored."""
    begun = time.perf_counter()
    try:
        pipeline.restore(task.source.read_bytes(), predictor, task.options)
    except RestoreError:
        return []
    return [time.perf_counter() - begun]
