"""A body has to arrive: limits in bytes and seconds for what clients send."""

import socket
import time
from typing import Any, Final

from flask import Flask, request
from werkzeug.exceptions import RequestTimeout

from shared.imaging.photo import MAX_BYTES

MAX_BODY: Final = 2 * MAX_BYTES + (1 << 20)  # bytes: a photo, its original, and the fields around them
MAX_PARTS: Final = 20  # of a form
SILENCE: Final = 20.0  # seconds without a byte
WHOLE: Final = 300.0  # seconds for all of a body


def register(app: Flask) -> None:
    """Bound every body."""
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, MAX_FORM_PARTS=MAX_PARTS)

    @app.before_request
    def watch() -> None:
        if request.content_length or request.headers.get("Transfer-Encoding"):
            connection = request.environ.get("gunicorn.socket")
            if isinstance(connection, socket.socket):
                connection.settimeout(SILENCE)
            request.environ["wsgi.input"] = _Timed(request.environ["wsgi.input"], WHOLE)


class _Timed:
    """A stream that must end in time; a drip of bytes does not prolong it.

    What it raises is no OSError, which Werkzeug would take for a client that went away.
    """

    def __init__(self, stream: Any, seconds: float) -> None:
        self._stream = stream
        self._end = time.monotonic() + seconds

    def read(self, size: int = -1) -> bytes:
        """Read as the server's stream does.

        Raises:
            RequestTimeout: nothing came for a while, or the whole takes too long.
        """
        if time.monotonic() > self._end:
            raise RequestTimeout("the body took too long")
        try:
            return bytes(self._stream.read(size))
        except TimeoutError as error:
            raise RequestTimeout("the body stopped coming") from error
