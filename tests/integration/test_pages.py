"""The page's policy: a browser may fetch results from where their links lead, and from nowhere else."""

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
