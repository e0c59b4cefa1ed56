"""A service that restores files: a bounded window of jobs is in its bulk queue, results are written as they come.

Photos go up and results come down on a few threads; the caller's own thread asks how the jobs stand.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from itertools import islice
from queue import SimpleQueue
from typing import Final, TypeVar

from shared.backfill.rows import Outcome, RowReport, failed
from shared.client import POLL_PAUSE, Client, RemoteJob
from shared.errors import ClientError, RestoreError
from shared.inspection import look_at
from shared.jobs import Queue
from shared.options import Options, WrongOriginal
from worker.backfill.answers import refused, report_of, said
from worker.backfill.looking import is_hdr
from worker.backfill.patience import Patience, StoppedError, is_passing
from worker.backfill.pool import Task

WINDOW: Final = 16  # rows that the service has at a time
TRANSFERS: Final = 4  # photos and results under way at once
NEWS: Final = 1  # seconds that one poll is held: how late a finished transfer is seen
LOOKS: Final = 3  # jobs that are looked at beside the oldest, by turns: the queue is first in, first out
# What the next row would be answered as well.
OF_THE_RUN: Final = frozenset(
    {"no_key", "bad_key", "missing_scope", "unknown_model", "bad_url", "bad_answer", "not_found", "method_not_allowed"}
)
_DEFAULTS: Final = asdict(Options())

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Flight:
    """A row whose job the service has; `unguided`: its original was left out, for it cannot be read."""

    task: Task
    job: RemoteJob
    unguided: bool


_Moved = _Flight | RowReport | None


class Remote:
    """Hands tasks to a service and gives their reports back as they come."""

    def __init__(
        self,
        connect: Callable[[Callable[[float], None]], Client],
        patience: Patience,
        model: str | None,
        window: int = WINDOW,
    ) -> None:
        """`connect` makes a client that sleeps by the function that it is given."""
        self._patience, self._model, self._window = patience, model, window
        self._client = connect(patience.pause)
        self._clients: SimpleQueue[Client] = SimpleQueue()
        for _ in range(TRANSFERS):
            self._clients.put(connect(patience.pause))
        self._executor = ThreadPoolExecutor(TRANSFERS, "transfer")
        self._moving: dict[Future[_Moved], Task] = {}
        self._flying: deque[_Flight] = deque()
        self._ended: list[tuple[Task, RowReport]] = []
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether a report should be taken before another task is given."""
        return len(self._moving) + len(self._flying) + len(self._ended) >= self._window

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not (self._moving or self._flying or self._ended)

    def give(self, task: Task) -> None:
        """Hand out a task, unless its photo is HDR already; here, for decoders are not asked by several threads."""
        begun = time.perf_counter()
        try:
            if not task.options.replace and is_hdr(task.source):
                seconds = round(time.perf_counter() - begun, 4)
                self._ended.append((task, said(task, Outcome.UNCHANGED, seconds=seconds)))
                return
            unguided = _cannot_be_read(task)
        except OSError as error:
            message = f"{error.filename or task.source}: {error.strerror}"
            self._ended.append((task, failed(task.row, "file", message)))
            return
        self._moving[self._executor.submit(self._hand_in, task, unguided)] = task

    def take(self) -> Iterator[tuple[Task, RowReport]]:
        """Wait for at least one report, unless nothing is under way any more.

        Raises:
            ClientError: the service refuses the run as a whole, or is away for too long.
        """
        self._land()
        while not self._ended and not self.is_idle:
            self._look()
            self._land()
        while self._ended:
            yield self._ended.pop(0)

    def close(self) -> None:
        """Leave what the service has: it goes on, and the same photo handed in again is the same job.

        Transfers that have begun are finished.
        """
        self._closed = True
        self._patience.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._flying.clear()
        self._moving = {future: task for future, task in self._moving.items() if not future.cancelled()}

    def _land(self) -> None:
        """Take up every transfer that has ended."""
        for future in [future for future in self._moving if future.done()]:
            task = self._moving.pop(future)
            try:
                moved = future.result()
            except ClientError:
                if self._closed:
                    continue  # the run ends for a reason that was said already
                raise
            if isinstance(moved, RowReport):
                self._ended.append((task, moved))
            elif moved is not None and not self._closed:
                self._flying.append(moved)
                if moved.job.is_final:  # its result was stored already
                    self._settle(moved, 0)

    def _look(self) -> None:
        """Ask after the oldest jobs until one is not final, and after a few of the others."""
        if not self._flying:
            wait(self._moving, NEWS, FIRST_COMPLETED)
            return
        begun, before = time.monotonic(), len(self._flying)
        held = NEWS
        while self._flying and self._settle(self._flying[0], held):
            held = 0
        for flight in list(islice(self._flying, 1, 1 + LOOKS)):
            self._settle(flight, 0)
        if len(self._flying) == before:
            self._turn()
            self._patience.pause(max(0.0, POLL_PAUSE - (time.monotonic() - begun)))

    def _turn(self) -> None:
        """Let others than those that were just looked at be the next; the oldest stays."""
        oldest = self._flying.popleft()
        self._flying.rotate(-LOOKS)
        self._flying.appendleft(oldest)

    def _settle(self, flight: _Flight, held: int) -> bool:
        """Whether a job is final; what follows from its end is begun."""
        task, job = flight.task, flight.job
        if not job.is_final:
            try:
                job = self._patience.ask(lambda: self._client.get(flight.job.id, held))
            except ClientError as error:
                if error.status != 404:
                    raise
                self._flying.remove(flight)
                self._ended.append((task, refused(task, error, flight.job.id)))
                return True
        if not job.is_final:
            return False
        self._flying.remove(flight)
        report = report_of(task, job, unguided=flight.unguided)
        if report.outcome is Outcome.RESTORED:
            self._moving[self._executor.submit(self._fetch, task, report)] = task
        else:
            self._ended.append((task, report))
        return True

    def _hand_in(self, task: Task, unguided: bool) -> _Moved:
        """Send a photo."""
        asked = {name: value for name, value in asdict(task.options).items() if value != _DEFAULTS[name]}
        original = None if unguided else task.original

        def submit(client: Client) -> RemoteJob:
            return client.submit(task.source, original=original, options=asked, model=self._model, queue=Queue.BULK)

        job = self._transfer(task, submit)
        return _Flight(task, job, unguided) if isinstance(job, RemoteJob) else job

    def _fetch(self, task: Task, report: RowReport) -> _Moved:
        """Write a result, whole or not at all."""
        job = report.job
        assert job is not None
        written = self._transfer(task, lambda client: client.download(job, task.output))
        if isinstance(written, RowReport):
            return replace(written, job=job)
        return None if written is None else report

    def _transfer(self, task: Task, ask: Callable[[Client], Answer]) -> Answer | RowReport | None:
        """What a thread's client is answered, the row's failure, or nothing where the run ends.

        Raises:
            ClientError: the next row would be answered the same.
        """
        client = self._clients.get()  # none serves two threads at once
        try:
            return self._patience.ask(lambda: ask(client))
        except ClientError as error:
            if is_passing(error) or error.code in OF_THE_RUN:
                raise
            return refused(task, error)
        except StoppedError:
            return None
        finally:
            self._clients.put(client)


def _cannot_be_read(task: Task) -> bool:
    """Whether an original is none and may be left out; the service would refuse the photo along with it."""
    if task.original is None or task.options.on_wrong_original is not WrongOriginal.UNGUIDED:
        return False
    with task.original.open("rb") as stream:
        try:
            look_at(stream, "original")
        except RestoreError:
            return True
    return False
