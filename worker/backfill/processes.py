"""Processes that restore files: each loads one predictor, ignores Ctrl-C, and ends when its parent is gone."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_handles
from typing import Final

from shared.backfill.rows import Outcome, RowReport, failed
from shared.errors import RestoreError
from shared.files import whole_file
from shared.registry import find_model
from shared.settings import load_settings
from worker import pipeline
from worker.backfill.pool import Task
from worker.predictors import Predictor, make_predictor

AHEAD: Final = 2  # tasks a process that are handed out, so that none waits for its next


class Processes:
    """Hands tasks to processes and gives their reports back as they come."""

    def __init__(self, jobs: int, model: str | None) -> None:
        self._jobs, self._model = jobs, model
        self._executor = self._make()
        self._pending: dict[Future[RowReport], Task] = {}

    @property
    def is_full(self) -> bool:
        """Whether a report should be taken before another task is given."""
        return len(self._pending) >= self._jobs * AHEAD

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._pending

    def give(self, task: Task) -> None:
        """Hand out a task."""
        try:
            self._pending[self._executor.submit(_restore, task)] = task
        except BrokenProcessPool:
            self._executor.shutdown(wait=False)
            self._executor = self._make()
            self._pending[self._executor.submit(_restore, task)] = task

    def take(self) -> Iterator[tuple[Task, RowReport]]:
        """Wait for at least one report; rows whose process died are given once more, one at a time."""
        ready, _ = wait(self._pending, return_when=FIRST_COMPLETED)
        suspects = []
        for future in ready:
            task = self._pending.pop(future)
            try:
                yield task, future.result()
            except BrokenProcessPool:
                suspects.append(task)
        if suspects:
            yield from self._try_apart(suspects)

    def close(self) -> None:
        """Call off what has not begun; `take` still gives what has."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._pending = {future: task for future, task in self._pending.items() if not future.cancelled()}

    def _make(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._jobs, multiprocessing.get_context("spawn"), _begin, (self._model, _threads(self._jobs))
        )

    def _try_apart(self, suspects: list[Task]) -> Iterator[tuple[Task, RowReport]]:
        for future in list(self._pending):
            if future.done() and isinstance(future.exception(), BrokenProcessPool):
                suspects.append(self._pending.pop(future))
        for task in suspects:
            yield task, self._alone(task)

    def _alone(self, task: Task) -> RowReport:
        with ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), _begin, (self._model, _threads(self._jobs))
        ) as single:
            try:
                return single.submit(_restore, task).result()
            except BrokenProcessPool:
                message = (
                    f"{task.row.source}: its process was ended twice, perhaps for want of memory; use fewer --jobs"
                )
                return failed(task.row, "worker_lost", message)


def _threads(jobs: int) -> int:
    return max(1, (os.cpu_count() or 1) // jobs)


_predictor: Predictor | None = None  # of this process, made by `_begin`


def _begin(model: str | None, threads: int) -> None:
    """What each process does first."""
    global _predictor  # noqa: PLW0603  (a pool's initializer has no other way to leave something)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; what is begun is finished
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settings = load_settings()
    entry = find_model(model or settings.model, settings.models_dir)
    _predictor = make_predictor(entry, settings.threads or threads, settings.network_long_side, settings.backend)


def _end_with_parent() -> None:
    """An executor's processes hold each other's pipes open, so that none sees its parent's death by itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_handles([parent.sentinel])
        os._exit(1)


def _restore(task: Task) -> RowReport:
    begun = time.perf_counter()
    try:
        assert _predictor is not None
        original = None if task.original is None else task.original.read_bytes()
        result = pipeline.restore(task.source.read_bytes(), _predictor, task.options, original=original)
        restored = result.outcome is pipeline.Outcome.RESTORED
        if restored:
            with whole_file(task.output) as stream:
                stream.write(result.data)
    except RestoreError as error:
        return failed(task.row, error.code, f"{task.row.source}: {error}")
    except OSError as error:
        return failed(task.row, "file", f"{error.filename or task.source}: {error.strerror}")
    except Exception as error:  # noqa: BLE001  (one photo must not end the run)
        return failed(task.row, "internal", f"{task.row.source}: unexpected fault ({type(error).__name__}: {error})")
    return RowReport(
        line=task.row.line,
        source=task.row.source,
        outcome=Outcome(result.outcome.value),
        output=task.said_output if restored else None,
        original=task.row.original,
        confidence=None if result.guided is None else result.guided.confidence,
        seconds=round(time.perf_counter() - begun, 4),
        metadata=task.row.metadata,
    )
