"""Counts answers of 5xx for the metrics: kept in memory while the database is away, which most of them tell of."""

import threading
from collections import Counter
from typing import Final

from flask import Flask, Response, request

from api.services import services
from shared.database import DatabaseUnavailableError
from shared.database.counting import count

PROBE: Final = "health.readyz"


class ServerErrors:
    """What this process has yet to write down, by status."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: Counter[int] = Counter()

    def note(self, response: Response) -> Response:
        """Count a fault of ours; write all of them down once an answer goes well again."""
        if response.status_code >= 500:
            with self._lock:
                self._new[response.status_code] += 1
        elif self._new:
            self._write()
        return response

    def _write(self) -> None:
        with self._lock:
            counted, self._new = self._new, Counter()
        try:
            with services().database.begin(lasting=False) as connection:
                for status, number in sorted(counted.items()):
                    count(connection, "server_errors", str(status), number)
        except DatabaseUnavailableError:
            with self._lock:
                self._new += counted


def register(app: Flask) -> None:
    """Look at every answer but the probe's: /readyz says 503 as its verdict."""
    errors = ServerErrors()

    @app.after_request
    def note(response: Response) -> Response:
        return response if request.endpoint == PROBE else errors.note(response)
