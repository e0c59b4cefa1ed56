"""Keeps the processes of the embedded stack: starts them in order, restarts what dies, stops all of them."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

GRACE: Final = 7.0  # seconds between asking a process to end and ending it
BACKOFF: Final = 1.0  # seconds before a dead process is started again, doubled while it keeps dying
BACKOFF_MAX: Final = 30.0  # seconds
STABLE: Final = 30.0  # seconds of life after which a death counts as the first again
WATCH: Final = 0.2  # seconds between two looks
log = structlog.get_logger()


class StartError(Exception):
    """A process did not become ready in time."""


@dataclass(slots=True)
class Child:
    """One process of the stack and how often it has died lately."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    begun: float = 0.0
    deaths: int = 0
    start_at: float = field(default=0.0)

    def start(self) -> None:
        """Start it as the head of a process group of its own, so that a Ctrl-C reaches the supervisor alone."""
        self.process = subprocess.Popen(self.command, env=dict(self.environment), start_new_session=True)
        self.begun = time.monotonic()


class Supervisor:
    """Children in the order in which they start; they stop in reverse."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._stop = threading.Event()

    def add(self, child: Child, ready: Callable[[], bool] | None = None, seconds: float = 30.0) -> None:
        """Start a child and wait until it is ready.

        Raises:
            StartError: it died at once, or was not ready after `seconds`.
        """
        child.start()
        self._children.append(child)
        end = time.monotonic() + seconds
        while ready is not None and not ready():
            if child.process is not None and child.process.poll() is not None:
                raise StartError(
                    f"{child.name} ended at once with code {child.process.returncode}; see its words above"
                )
            if time.monotonic() > end or self._stop.is_set():
                raise StartError(f"{child.name} was not ready within {seconds:g} s; see its words above")
            time.sleep(WATCH / 4)

    def request_stop(self) -> None:
        """Let `watch` return; safe in a signal handler."""
        self._stop.set()

    def watch(self) -> None:
        """Restart whatever dies, until a stop is asked for."""
        while not self._stop.wait(WATCH):
            for child in self._children:
                self._look_after(child)

    def stop(self) -> None:
        """End every child, the first one (the broker) after all others; by force after GRACE seconds in all."""
        end = time.monotonic() + GRACE
        first, others = self._children[:1], self._children[1:]
        for group in (others, first):
            for child in group:
                if child.process is not None:
                    child.process.terminate()  # itself alone: it ends its own children after their work
            for child in group:
                _end(child, end)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            code = child.process.returncode
            _kill_group(child)
            child.process = None
            child.deaths = 1 if now - child.begun > STABLE else child.deaths + 1
            delay = min(BACKOFF_MAX, BACKOFF * 2 ** (child.deaths - 1))
            child.start_at = now + delay
            log.warning("child_died", child=child.name, code=code, restart_in=delay)
        if child.process is None and now >= child.start_at:
            child.start()
            log.info("child_started", child=child.name)


def _end(child: Child, end: float) -> None:
    """Wait for a child until `end` (monotonic seconds), then end its whole group."""
    if child.process is None:
        return
    try:
        child.process.wait(max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        log.warning("ended_by_force", child=child.name)
    _kill_group(child)  # the group: a pool's children may outlive their parent
    child.process.wait()


def _kill_group(child: Child) -> None:
    if child.process is None:
        return
    try:
        os.killpg(child.process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
