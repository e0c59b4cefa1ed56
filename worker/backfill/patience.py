"""Waiting for a service that is away or asks to be left alone: bounded, said once, ended by Ctrl-C at once."""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from shared.errors import ClientError

PATIENCE: Final = 600.0  # seconds that a service may be away before a run gives up
PAUSE: Final = 3.0  # seconds between two tries while it is away; each try is several attempts of the client
TOO_MANY: Final = 429
AWAY: Final = frozenset({502, 503, 504})
PASSING: Final = frozenset({"unreachable", "idempotency_in_flight"})

Answer = TypeVar("Answer")


class StoppedError(Exception):
    """The run ends; what was being asked for is left."""


class Patience:
    """Asks a service until it answers; one for all threads of a run."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` is told when the service goes away and when it is back."""
        self._say = say
        self._stop = threading.Event()
        self._away = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._stop.set()

    def pause(self, seconds: float) -> None:
        """Sleep, unless the run ends.

        Raises:
            StoppedError: it does.
        """
        if self._stop.wait(seconds):
            raise StoppedError

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """What `call` returns, as soon as the service is there.

        Raises:
            ClientError: the service refused for good, or was away for PATIENCE, or asks to stay away for longer.
            StoppedError: the run ends.
        """
        end: float | None = None
        while True:
            try:
                answer = call()
            except ClientError as error:
                now = time.monotonic()
                end = end or now + PATIENCE
                pause = max(PAUSE, error.retry_after or 0.0)
                if not is_passing(error) or now + pause > end:
                    raise
                self._went(error)
                self.pause(pause)
            else:
                self._came_back()
                return answer

    def _went(self, error: ClientError) -> None:
        if error.status == TOO_MANY:
            return  # it is there, and has more to do than us
        with self._lock:
            if not self._away:
                self._say(f"waiting up to {PATIENCE / 60:g} min: {error}")
            self._away = True

    def _came_back(self) -> None:
        with self._lock:
            if self._away:
                self._say("the service answers again")
            self._away = False


def is_passing(error: ClientError) -> bool:
    """Whether the same call may fare better later."""
    return error.code in PASSING or error.status == TOO_MANY or error.status in AWAY
