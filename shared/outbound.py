"""Requests to addresses that strangers name: which are refused, and how long one may take.

requests-hardened resolves a name once, refuses what is private, and connects to the address that it checked, so a
name that answers differently the second time gains nothing. Added here: the ranges that it lets through, and an end
to the whole request.
"""

import ipaddress
import re
import socket
import threading
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter_adapter import IPFilterAdapter

MAX_URL_CHARS = 2048
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0  # between two reads
_NEVER_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")  # parsers disagree about these


class FetchError(Exception):
    """A request was refused by us, or failed.

    `code` is stable and snake_case; `retryable` says whether the same request may succeed later; the text names
    what is wrong, where, and what to do.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class BlockedAddress(requests.RequestException):
    """The address that a name resolved to is not one of the public internet."""


class Deadline:
    """Ends a request at a set time, wherever it is.

    A time-out of a socket bounds one wait; a server that sends a byte a second never meets it. So a timer shuts the
    sockets. The look-up of a name comes before them, and is bounded by the resolver alone.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> None:
        """End this socket too. It is duplicated, for TLS takes the descriptor out of the first object."""
        with self._lock:
            self._sockets.append(connection.dup())
        if self.passed:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self.passed = True
            for watched in self._sockets:
                try:
                    watched.shutdown(socket.SHUT_RDWR)
                except OSError:  # the other side was first
                    continue

    def __enter__(self) -> Self:
        """Start the time."""
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop the time; `passed` keeps its value."""
        self._timer.cancel()
        self._timer.join()
        for watched in self._sockets:
            watched.close()


class _TimedAdapter(HTTPAdapter):
    """Shows every socket to the deadline."""

    def __init__(self, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._deadline = deadline

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """A pool whose connections are watched from the moment they stand."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        deadline, made = self._deadline, pool.ConnectionCls

        class Watched(made):  # type: ignore[misc, valid-type]  # HTTP or HTTPS, as the pool is
            def _new_conn(self) -> socket.socket:
                connection: socket.socket = super()._new_conn()
                deadline.watch(connection)
                return connection

        pool.ConnectionCls = Watched
        return pool


class _PublicAdapter(_TimedAdapter, IPFilterAdapter):  # type: ignore[misc]  # the library has no types
    """Connects to public addresses alone."""

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        """The library's own answer names the address that it checked; this checks the rest of it.

        Raises:
            BlockedAddress: ranges that the library lets through.
        """
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        address = ipaddress.ip_address(host["host"].strip("[]"))
        if not address.is_global or address.is_reserved or address.is_multicast or _site_local(address):
            raise BlockedAddress(str(address))
        return host, pool


def _site_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.is_site_local


def make_session(deadline: Deadline, *, allow_private: bool) -> requests.Session:
    """A session for one request: no redirects, no proxies or passwords from the environment, TLS verified."""
    config = Config(
        ip_filter_enable=not allow_private,
        ip_filter_allow_loopback_ips=False,
        never_redirect=True,
        default_timeout=(min(CONNECT_SECONDS, deadline.seconds), min(READ_SECONDS, deadline.seconds)),
        user_agent_override="Regain",
    )
    session: requests.Session = HTTPSession(config)
    session.trust_env = False
    for scheme in ("http", "https"):
        adapter = (
            _TimedAdapter(deadline) if allow_private else _PublicAdapter(deadline, is_https_proto=scheme == "https")
        )
        session.mount(f"{scheme}://", adapter)
    return session


def check_url(url: str) -> str:
    """The host that a URL names, if it is one that we request.

    Raises:
        FetchError: `bad_url`.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise FetchError("bad_url", f"{url[:80]!r} is not a URL: check its host and port") from None
    if parts.scheme not in ("http", "https") or not host:
        raise FetchError("bad_url", f"{url[:80]!r} cannot be requested: write http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise FetchError("bad_url", f"the URL at {host!r} has a user name in it: leave it out, or sign the URL")
    if len(url) > MAX_URL_CHARS or _NEVER_IN_A_URL.search(url):
        raise FetchError(
            "bad_url",
            f"the URL at {host[:80]!r} has spaces, backslashes or control characters, or more than "
            f"{MAX_URL_CHARS} characters: encode or shorten it",
        )
    return host
