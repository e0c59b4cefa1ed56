"""The page's policy: a browser may fetch results from where their links lead, and from nowhere else."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.services.api import close, make_api

KEYS = {"store": "s3", "s3_access_key": "key", "s3_secret_key": "secret", "s3_region": "eu-central-1"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"s3_endpoint": "http://store:9000"},
        {"s3_endpoint": "http://store:9000", "s3_public_endpoint": "https://photos.example"},
        {"s3_path_style": False},
        {"s3_path_style": False, "s3_endpoint": "https://store.example"},
    ],
)
def test_the_page_may_reach_the_store_that_links_lead_to(tmp_path: Path, settings: dict[str, Any]) -> None:
    api = make_api(tmp_path / "data", **KEYS, **settings)
    link = urlsplit(api.store.url("results/x.jpg", timedelta(minutes=5)))
    with api.client.get("/") as answer:
        allowed = connects(answer.headers["Content-Security-Policy"])
    close(api)
    assert allowed == ["'self'", f"{link.scheme}://{link.netloc}"]


def test_a_folder_needs_no_other_host(tmp_path: Path) -> None:
    api = make_api(tmp_path / "data", s3_endpoint="http://store:9000")
    with api.client.get("/") as answer:
        allowed = connects(answer.headers["Content-Security-Policy"])
    close(api)
    assert allowed == ["'self'"]


def connects(policy: str) -> list[str]:
    """What the page may connect to."""
    return dict(part.split(" ", 1) for part in policy.split("; "))["connect-src"].split()


@pytest.mark.parametrize("path", ["/", "/batches", "/audit", "/insights"])
def test_every_page_is_whole_and_known_to_a_browser_that_had_it(tmp_path: Path, path: str) -> None:
    api = make_api(tmp_path / "data")
    with api.client.get(path) as answer:
        page, tag = answer.get_data(as_text=True), answer.headers["ETag"]
        assert (answer.status_code, answer.mimetype) == (200, "text/html")
    with api.client.get(path, headers={"If-None-Match": tag}) as again:
        assert (again.status_code, again.data) == (304, b"")
        assert "script-src 'self'" in again.headers["Content-Security-Policy"]
    assert page.startswith("<!doctype html>")
    assert re.findall(r'href="([^"]+)" aria-current="page"', page) == [path]
    assert len(re.findall("<title>Regain: .+</title>", page)) == 1
    assert "{%" not in page
    assert "{{" not in page
    for name in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page)):
        with api.client.get(name) as part:
            assert (name, part.status_code) == (name, 200)
    close(api)
