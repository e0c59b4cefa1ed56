"""Requests to the service over HTTP: one way to authenticate, to try again and to fail."""

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from shared.errors import ClientError

ATTEMPTS: Final = 6  # of one call, the first included
BACKOFF: Final = 0.5  # seconds before the second attempt; doubled before each further one, with jitter
LONGEST_PAUSE: Final = 60.0  # seconds between two attempts; a service that asks for more is not waited for
CONNECT_TIMEOUT: Final = 5.0  # seconds
READ_TIMEOUT: Final = 60.0  # seconds of silence, beyond what a long poll asks for
BLOCK: Final = 1 << 18  # bytes of a file that are held at once
# The service did not do what was asked: any call may be sent again.
NOT_DONE: Final = frozenset({429, 503})
# A proxy does not know whether it was done: only what may be done twice is sent again.
UNKNOWN: Final = frozenset({502, 504})

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `repeatable`: doing it twice does no harm. `patience`: seconds that the service may stay silent."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    files: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None  # sent as JSON
    repeatable: bool = True
    patience: float = 0.0


class FileBody:
    """A request's body out of a file, alone or behind the fields of a form, block by block."""

    def __init__(self, stream: BinaryIO, fields: Mapping[str, str] | None = None) -> None:
        self._stream, self._before, self._behind = stream, b"", b""
        self.headers: dict[str, str] = {}
        if fields is not None:
            boundary = uuid.uuid4().hex
            parts = [
                f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()
            ]
            file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n'
            self._before, self._behind = ("".join(parts) + file).encode(), f"\r\n--{boundary}--\r\n".encode()
            self.headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    def __len__(self) -> int:
        return len(self._before) + os.fstat(self._stream.fileno()).st_size + len(self._behind)

    def __iter__(self) -> Iterator[bytes]:
        if self._before:
            yield self._before
        while block := self._stream.read(BLOCK):
            yield block
        if self._behind:
            yield self._behind


class _Bearer(AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class Transport:
    """A session with one service. Not for several threads at once."""

    def __init__(
        self, url: str, key: str, sleep: Callable[[float], None] = time.sleep, attempts: int = ATTEMPTS
    ) -> None:
        """Nothing is sent yet.

        Raises:
            ClientError: `bad_url`.
        """
        if not url.startswith(("http://", "https://")):
            raise ClientError("bad_url", 0, f"{url!r} is no address of a service; give http://… or https://…")
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = _Bearer(key)
        self._sleep = sleep
        self._attempts = attempts

    def close(self) -> None:
        """Close every connection."""
        self._session.close()

    def json(self, call: Call) -> dict[str, Any]:
        """The answer as a JSON object; empty where there is no body.

        Raises:
            ClientError: the service refused, did not answer, or answered something else.
        """
        return self.fetch(call, self._object)

    def fetch(self, call: Call, read: Callable[[requests.Response], Answer]) -> Answer:
        """Send a call, again where that may help, and return what `read` makes of its good answer.

        `read` runs anew with each attempt, for an answer may break off while it is being read.

        Raises:
            ClientError: the service refused or did not answer.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                with self._send(call) as response:
                    if response.status_code < 300:
                        return read(response)
                    error = _refusal(response)
                    pause = error.retry_after
                    again = _may_help(response, call.repeatable)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as fault:
                error, pause = self._unreachable(fault), None
                again = call.repeatable or _never_sent(fault)
            except (requests.RequestException, HTTPError) as fault:
                raise self._unreachable(fault) from fault
            if pause is None:
                pause = BACKOFF * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311  (no secret)
            if not again or attempt == self._attempts or pause > LONGEST_PAUSE:
                raise error
            self._sleep(pause)
        raise AssertionError("the loop returns or raises")

    def send_file(self, target: Mapping[str, Any], path: Path) -> None:
        """Send a file straight to the store, as POST /v1/uploads says; its bytes are never held whole.

        Raises:
            ClientError: the store refused or did not answer, or `file`: the file cannot be read.
        """
        try:
            with path.open("rb") as stream:
                body = FileBody(stream, target["fields"]) if target["method"] == "POST" else FileBody(stream)
                with requests.request(
                    target["method"],
                    target["url"],
                    data=body,
                    headers={**target["headers"], **body.headers},
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                ) as response:
                    if response.status_code >= 300:
                        raise _refusal(response)
        except (requests.RequestException, HTTPError) as fault:
            raise self._unreachable(fault) from fault
        except OSError as error:
            raise ClientError("file", 0, f"{path}: cannot be read ({error.strerror}); check the name") from error

    def _send(self, call: Call) -> requests.Response:
        return self._session.request(
            call.method,
            self.url + call.path,
            params=call.query,
            headers=call.headers,
            files=call.files,
            data=call.form,
            json=call.body,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT + call.patience),
            stream=True,
            # Elsewhere a redirect would turn a POST into a GET and lose the photo.
            allow_redirects=call.method == "GET",
        )

    def _object(self, response: requests.Response) -> dict[str, Any]:
        if not response.content:
            return {}
        with suppress(requests.exceptions.JSONDecodeError):
            value = response.json()
            if isinstance(value, dict):
                return value
        where = f"{self.url} answered {response.status_code} without JSON"
        raise ClientError("bad_answer", response.status_code, f"{where}; is that the address of a Regain service?")

    def _unreachable(self, fault: Exception) -> ClientError:
        if isinstance(fault, requests.Timeout):
            why = "no answer in time"
        elif isinstance(fault, requests.exceptions.SSLError):
            why = "its certificate was not accepted"
        else:
            why = "no connection" if _never_sent(fault) else "the connection broke"
        return ClientError(
            "unreachable", 0, f"{self.url} cannot be reached ({why}); is the service up, REGAIN_URL right?"
        )


def _may_help(response: requests.Response, repeatable: bool) -> bool:
    if response.status_code in NOT_DONE:
        return True
    # With 409 and Retry-After the service says that the same Idempotency-Key is still being worked on.
    in_flight = response.status_code == 409 and "Retry-After" in response.headers
    return repeatable and (in_flight or response.status_code in UNKNOWN)


def _never_sent(fault: Exception) -> bool:
    if isinstance(fault, requests.ConnectTimeout):
        return True
    cause = fault.args[0] if fault.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _refusal(response: requests.Response) -> ClientError:
    status, pause = response.status_code, _pause_asked(response)
    try:
        problem = response.json()
        return ClientError(str(problem["code"]), status, str(problem.get("detail") or problem["title"]), pause)
    except (requests.exceptions.JSONDecodeError, KeyError, TypeError, AttributeError):
        text = f"the service answered {status} {response.reason or ''}".rstrip()
        if response.is_redirect:
            text += f"; it lives at {response.headers.get('Location', 'another address')}: set REGAIN_URL to that"
        return ClientError(f"http_{status}", status, text, pause)


def _pause_asked(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
