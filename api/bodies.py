"""A body has to arrive: limits in bytes and seconds for what clients send."""

import socket
import threading
import time
from contextlib import suppress
from typing import IO, Any, Final

from flask import Flask, Request, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from shared.imaging.limits import MAX_BYTES

MAX_BODY: Final = 2 * MAX_BYTES + (1 << 20)  # bytes: a photo, its original, and the fields around them
MAX_PARTS: Final = 20  # of a form
SILENCE: Final = 20.0  # seconds without a byte
WHOLE: Final = 300.0  # seconds for all of a body


class BodyRequest(Request):
    """A request that closes what it spooled even where its form was cut off, which Werkzeug forgets."""

    body: "_Body | None" = None

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
        if self.body is not None:
            self.body.done()
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
            body = _Body(request.environ["wsgi.input"], request.content_length, connection)
            request.environ["wsgi.input"] = body
            if isinstance(request, BodyRequest):
                request.body = body


class _Body:
    """A body that must arrive whole and in time; a drip of bytes does not prolong it.

    gunicorn tells neither of the two: it waits for every byte for ever, and gives a short body where a client went
    away. What this raises is no OSError, which Werkzeug would take for a client that went away.
    """

    def __init__(self, stream: Any, length: int | None, connection: socket.socket | None) -> None:
        self._stream = stream
        self._missing = length  # None: chunked, whose end the server itself checks
        self._end = time.monotonic() + WHOLE
        self._timer: threading.Timer | None = None
        if connection is not None:
            connection.settimeout(SILENCE)
            # One read of the server's is many of the socket's, each with a silence of its own.
            self._timer = threading.Timer(WHOLE, _stop_reading, [connection])
            self._timer.daemon = True
            self._timer.start()

    def read(self, size: int = -1) -> bytes:
        """Read as the server's stream does.

        Raises:
            RequestTimeout: nothing came for a while, or the whole takes too long.
            ClientDisconnected: the body ended before its length.
        """
        try:
            block = bytes(self._stream.read(size))
        except TimeoutError as error:
            raise RequestTimeout("the body stopped coming") from error
        except (OSError, ParseException) as error:  # a chunk that is none, or is not whole
            raise ClientDisconnected from error
        if time.monotonic() >= self._end:
            raise RequestTimeout("the body took too long")
        if self._missing is not None:
            self._missing -= len(block)
            if not block and size != 0 and self._missing > 0:
                raise ClientDisconnected
        return block

    def done(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()


def _stop_reading(connection: socket.socket) -> None:
    """Let whoever reads see an end; the answer can still be sent."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
