"""Download a photo from a URL that a client gave, and deliver webhooks to one: never into our own network."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

import requests
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3.exceptions import HTTPError

from shared.outbound import BlockedAddress, Deadline, FetchError, check_url, make_session

__all__ = ["Answer", "Download", "FetchError", "fetch", "post"]

FETCH_SECONDS = 60.0  # the whole download
POST_SECONDS = 15.0  # the whole delivery
SPOOL_BYTES = 4 * 1024 * 1024  # a download longer than this goes to a temporary file
BLOCK_BYTES = 64 * 1024
EXCERPT_BYTES = 2048
_COME_BACK = {408, 425, 429}  # and everything from 500


@dataclass(frozen=True, slots=True)
class Download:
    """What a URL gave. The stream stands at its start, and is the caller's to close."""

    stream: BinaryIO
    content_type: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver of a webhook said."""

    status: int
    excerpt: str  # the first EXCERPT_BYTES of the body
    seconds: float
    retry_after: float | None = None  # seconds that the receiver wants to be left alone


def fetch(url: str, limit: int, *, timeout: float = FETCH_SECONDS, allow_private: bool = False) -> Download:
    """Download what a URL names, at most `limit` bytes within `timeout` seconds.

    Raises:
        FetchError: `bad_url`, `blocked_address`, `redirected`, `bad_status`, `too_large`, `too_slow` or
            `unreachable`.
    """
    host = check_url(url)
    spool = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    stream = cast(BinaryIO, spool)
    try:
        with _answered("GET", url, host, timeout, allow_private) as response:
            _check_status(response, host)
            size = _copy(response, stream, limit, host)
    except BaseException:
        stream.close()
        raise
    stream.seek(0)
    return Download(stream, response.headers.get("Content-Type", ""), size)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float = POST_SECONDS,
    allow_private: bool = False,
) -> Answer:
    """Send a body, and say what came back, whatever its status. A body that breaks off does not undo a status.

    Raises:
        FetchError: `bad_url`, `blocked_address`, `redirected`, `too_slow` or `unreachable`.
    """
    host = check_url(url)
    start = time.monotonic()
    excerpt = b""
    with _answered("POST", url, host, timeout, allow_private, body, headers) as response:
        try:
            for block in response.iter_content(EXCERPT_BYTES):
                excerpt += block
                if len(excerpt) >= EXCERPT_BYTES:
                    break
        except (requests.RequestException, HTTPError, OSError):
            pass  # cut off, or out of time: the status has been said
        text = excerpt[:EXCERPT_BYTES].decode(errors="replace")
        wait = _retry_after(response.headers.get("Retry-After", ""))
        return Answer(response.status_code, text, time.monotonic() - start, wait)


@contextmanager
def _answered(  # noqa: PLR0913, PLR0917 - private to the two above
    method: str,
    url: str,
    host: str,
    timeout: float,
    allow_private: bool,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[requests.Response]:
    """An answer whose body is still to be read; errors in the block become FetchError too."""
    # Not compressed: a size is then what it says, and no archive bomb is unpacked.
    sent = {"Accept-Encoding": "identity", **(headers or {})}
    with (
        Deadline(timeout) as deadline,
        _translated(host, deadline),
        make_session(deadline, allow_private=allow_private) as session,
        session.request(method, url, data=body, headers=sent, stream=True) as response,
    ):
        if deadline.passed:  # a head that our own cut ended looks like a whole one
            raise _too_slow(host, deadline)
        if response.is_redirect:
            raise FetchError(
                "redirected", f"{host!r} redirects ({response.status_code}), which is not followed: give the final URL"
            )
        yield response
        # Where a body ends with its connection, our own cut looks like its end; a delivery is told by its status.
        if method == "GET" and deadline.passed:
            raise _too_slow(host, deadline)


@contextmanager
def _translated(host: str, deadline: Deadline) -> Iterator[None]:
    """Turn the errors of requests into ours."""
    try:
        yield
    except (InvalidIPAddress, BlockedAddress):
        message = f"{host!r} is an address inside a network: give one of the public internet"
        raise FetchError("blocked_address", message) from None
    except (requests.exceptions.InvalidURL, UnicodeError) as error:
        raise FetchError("bad_url", f"the host {host[:80]!r} is not a name ({error}): check the URL") from error
    except requests.exceptions.ConnectTimeout as error:
        raise _unreachable(host, "no connection in time") from error
    except (requests.RequestException, HTTPError, OSError) as error:
        if deadline.passed or _timed_out(error):
            raise _too_slow(host, deadline) from error
        if isinstance(error, requests.exceptions.SSLError):
            raise _unreachable(host, "its TLS certificate or handshake does not hold") from error
        raise _unreachable(host, "no such name, no connection, or it broke off") from error


def _retry_after(text: str) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date; None where it is neither."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _timed_out(error: Exception) -> bool:
    """requests calls a time-out in the middle of a body a ConnectionError."""
    return isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error)


def _too_slow(host: str, deadline: Deadline) -> FetchError:
    return FetchError(
        "too_slow", f"{host!r} took too long (at most {deadline.seconds:g} s): try again later", retryable=True
    )


def _unreachable(host: str, why: str) -> FetchError:
    return FetchError("unreachable", f"{host!r} cannot be reached ({why}): check it, or try again", retryable=True)


def _check_status(response: requests.Response, host: str) -> None:
    status = response.status_code
    if status != requests.codes.ok:
        retryable = status in _COME_BACK or status >= 500
        raise FetchError("bad_status", f"{host!r} answered {status}, not 200: check the URL", retryable=retryable)


def _copy(response: requests.Response, stream: BinaryIO, limit: int, host: str) -> int:
    """Bytes written. What a server says of its length spares reading; what it sends is what counts."""
    too_large = FetchError("too_large", f"{host!r} sends more than {limit} bytes: give a smaller file")
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > limit:
        raise too_large
    size = 0
    for block in response.iter_content(BLOCK_BYTES):
        size += len(block)
        if size > limit:
            raise too_large
        stream.write(block)
    return size
