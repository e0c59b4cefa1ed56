"""A body has to arrive: limits in bytes and seconds for what clients send."""

import socket
import time
from typing import IO, Any, Final

from flask import Flask, Request, request
from werkzeug.exceptions import RequestTimeout

from shared.imaging.photo import MAX_BYTES

MAX_BODY: Final = 2 * MAX_BYTES + (1 << 20)  # bytes: a photo, its original, and the fields around them
MAX_PARTS: Final = 20  # of a form
SILENCE: Final = 20.0  # seconds without a byte
WHOLE: Final = 300.0  # seconds for all of a body


class BodyRequest(Request):
    """A request that closes what it spooled even where its form was cut off, of which Werkzeug loses sight."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._spooled: list[IO[bytes]] = []

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        stream = super()._get_file_stream(total_content_length, content_type, filename, content_length)
        self._spooled.append(stream)
        return stream

    def close(self) -> None:
        """Close every file."""
        super().close()
        for stream in self._spooled:
            stream.close()


def register(app: Flask) -> None:
    """Bound every body."""
    app.request_class = BodyRequest
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
