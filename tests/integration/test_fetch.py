"""Downloads and deliveries, against a server that misbehaves and addresses that must never be reached."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shared.fetch import EXCERPT_BYTES, SPOOL_BYTES, FetchError, fetch, post
from tests.services.ports import free_port
from tests.services.web import BadWeb, bad_web

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def web() -> Iterator[BadWeb]:
    """One server for all."""
    with bad_web() as server:
        yield server


def refused(url: str, *, timeout: float = 5, allow_private: bool = True, limit: int = MIB) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(url, limit, timeout=timeout, allow_private=allow_private)
    return caught.value


@pytest.mark.parametrize("size", [0, 1, MIB, SPOOL_BYTES + 1])
def test_a_download(web: BadWeb, size: int) -> None:
    got = fetch(f"{web.url}/photo/{size}", size, allow_private=True)
    with got.stream as stream:
        assert stream.read() == b"x" * size
    assert (got.content_type, got.size) == ("image/jpeg", size)


@pytest.mark.parametrize("path", ["photo/1025", "huge/said", "huge/unsaid"])
def test_no_more_than_the_limit(web: BadWeb, path: str) -> None:
    error = refused(f"{web.url}/{path}", limit=1024)
    assert (error.code, error.retryable) == ("too_large", False)


@pytest.mark.parametrize("path", ["drip/body", "drip/headers", "silent"])
def test_no_longer_than_the_time(web: BadWeb, path: str) -> None:
    start = time.monotonic()
    error = refused(f"{web.url}/{path}", timeout=0.5)
    assert (error.code, error.retryable) == ("too_slow", True)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(web: BadWeb, status: int) -> None:
    web.seen.clear()
    error = refused(f"{web.url}/redirect/{status}")
    assert (error.code, error.retryable) == ("redirected", False)
    with pytest.raises(FetchError, match="redirects"):
        post(f"{web.url}/redirect/{status}", b"", {}, allow_private=True)
    assert {seen.path for seen in web.seen} == {f"/redirect/{status}"}


@pytest.mark.parametrize(("status", "retryable"), [(204, False), (403, False), (404, False), (429, True), (503, True)])
def test_only_200_is_a_photo(web: BadWeb, status: int, retryable: bool) -> None:
    error = refused(f"{web.url}/status/{status}")
    assert (error.code, error.retryable) == ("bad_status", retryable)
    assert str(status) in str(error)


def test_unreachable(web: BadWeb) -> None:
    for url in (f"http://127.0.0.1:{free_port()}/", f"{web.url}/short"):
        error = refused(url)
        assert (error.code, error.retryable) == ("unreachable", True)


def test_tls_is_verified(web: BadWeb) -> None:
    assert refused(web.url.replace("http:", "https:") + "/photo").code == "unreachable"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photo.jpg",
        "file:///etc/passwd",
        "ftp://example.com/a.jpg",
        "gopher://example.com/",
        "http://",
        "http:///a.jpg",
        "http://user@example.com/",
        "http://user:word@example.com/",
        "http://:word@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://[::1/",
        "http://exa mple.com/",
        "http://example.com/\r\nHost: x",
        "http://" + "a" * 64 + ".example/",
        "http://example.com/" + "a" * 2048,
    ],
)
def test_bad_urls(url: str) -> None:
    error = refused(url, allow_private=False)
    assert (error.code, error.retryable) == ("bad_url", False)
    assert "word" not in str(error) or "://" not in str(error), "no password in a message"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "0x7f.0.0.1",
        "2130706433",
        "017700000001",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fec0::1]",
        "[fd00::1]",
        "[ff02::1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "localhost",
    ],
)
def test_addresses_inside_a_network_are_blocked(web: BadWeb, host: str) -> None:
    web.seen.clear()
    port = web.url.rsplit(":", 1)[1]
    for scheme in ("http", "https"):
        error = refused(f"{scheme}://{host}:{port}/photo", allow_private=False)
        assert (error.code, error.retryable) == ("blocked_address", False)
        with pytest.raises(FetchError, match="inside a network"):
            post(f"{scheme}://{host}:{port}/photo", b"", {})
    assert web.seen == []


def test_digits_in_disguise_are_no_host(web: BadWeb) -> None:
    web.seen.clear()
    port = web.url.rsplit(":", 1)[1]
    error = refused(f"http://①②⑦.⓪.⓪.①:{port}/photo", allow_private=False)
    assert (error.code, error.retryable) == ("bad_url", False)
    assert web.seen == []


class Resolver:
    """Stands in for DNS: a name's answers, one after the other."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.real = socket.getaddrinfo

    def __call__(self, host: str, *args: Any, **kwargs: Any) -> Any:
        """Answer `flip.test` from the list, refuse everything else."""
        self.asked.append(host)
        if host != "flip.test":
            raise socket.gaierror(socket.EAI_NONAME, "not in this test")
        return self.real(self.answers.pop(0), *args, **kwargs)


def test_a_name_that_resolves_to_loopback_is_blocked(web: BadWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver("127.0.0.1"))
    assert refused("http://flip.test/", allow_private=False).code == "blocked_address"


def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second answer would be loopback; the connection goes to the first, which was checked."""
    resolver = Resolver("8.8.8.8", "127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    assert refused("http://flip.test/", allow_private=False).code == "unreachable"
    assert resolver.asked == ["flip.test", "8.8.8.8"]


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Resolver())
    error = refused("http://none.test/", allow_private=False)
    assert (error.code, error.retryable) == ("unreachable", True)


def test_the_environment_is_not_asked(web: BadWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    fetch(f"{web.url}/photo", 10, allow_private=True).stream.close()


@pytest.mark.parametrize("status", [200, 410, 429, 500])
def test_a_delivery(web: BadWeb, status: int) -> None:
    web.seen.clear()
    answer = post(f"{web.url}/status/{status}", b'{"a":1}', {"webhook-id": "msg_1"}, allow_private=True)
    assert (answer.status, answer.excerpt) == (status, "hello")
    assert 0 < answer.seconds < 5
    (seen,) = web.seen
    assert (seen.method, seen.body, seen.headers["webhook-id"]) == ("POST", b'{"a":1}', "msg_1")


def test_an_answer_is_cut(web: BadWeb) -> None:
    assert len(post(f"{web.url}/huge", b"", {}, allow_private=True).excerpt) == EXCERPT_BYTES


def test_a_delivery_has_an_end(web: BadWeb) -> None:
    start = time.monotonic()
    with pytest.raises(FetchError) as caught:
        post(f"{web.url}/drip/headers", b"", {}, timeout=0.5, allow_private=True)
    assert caught.value.code == "too_slow"
    assert post(f"{web.url}/drip/body", b"", {}, timeout=0.5, allow_private=True).status == 200
    assert time.monotonic() - start < 3
