"""Who can see HDR: what is counted, what is not, and what is forgotten."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from shared.database import insight_store
from shared.database.key_store import Scope
from shared.database.tables import tables, view_salts, visitors
from shared.insights import DynamicRange, Family, Gamut, Reading, Renderer, day_of, wilson
from tests.services.api import Answer, Api, close, make_api

TOLD = {"dynamic_range": "high", "gamut": "p3", "renderer": "apple", "browser": "safari"}
FLAT = {**TOLD, "dynamic_range": "standard", "gamut": "srgb", "renderer": "intel", "browser": "chrome"}
READING = Reading(DynamicRange.HIGH, Gamut.P3, Renderer.APPLE, Family.SAFARI)


def tell(api: Api, told: Any = TOLD, address: str = "192.0.2.1", **headers: str) -> Answer:
    """A view of the page, as a browser without a key tells it."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.client.post("/v1/insights/views", json=told, headers=headers, environ_base={"REMOTE_ADDR": address})


def shown(api: Api, days: int = 30) -> Any:
    """What is told of them."""
    answer = api.get(f"/v1/insights/hdr?days={days}")
    assert answer.status_code == 200, answer.json
    return answer.json


def test_visitors_and_views_are_two_answers(api: Api) -> None:
    for _ in range(9):
        assert tell(api).status_code == 204
    for number in range(3):
        assert tell(api, FLAT, f"192.0.2.{number + 2}").status_code == 204
    found = shown(api)
    assert found["total"]["visitors"] == {"hdr": 1, "all": 4, "share": 0.25, "low": 0.0456, "high": 0.6994}
    assert found["total"]["events"]["share"] == 0.75
    assert [row["value"] for row in found["by"]["browser"]] == ["chrome", "safari"]
    assert [row["events"]["hdr"] for row in found["by"]["gamut"]] == [9, 0]
    assert len(found["by"]["day"]) == 1
    assert found["counting"] is True


def test_another_browser_at_the_same_address_is_another_visitor(api: Api) -> None:
    for agent in ("one", "two", "one"):
        tell(api, User_Agent=agent)
    assert shown(api)["total"]["visitors"]["all"] == 2


def test_a_visitor_is_what_the_first_view_of_the_day_told(api: Api) -> None:
    tell(api, FLAT)
    tell(api, TOLD)
    total = shown(api)["total"]
    assert (total["visitors"]["hdr"], total["visitors"]["all"]) == (0, 1)
    assert (total["events"]["hdr"], total["events"]["all"]) == (1, 2)


@pytest.mark.parametrize("header", [{"DNT": "1"}, {"Sec_GPC": "1"}])
def test_who_asks_not_to_be_counted_is_not(small_api: Api, header: dict[str, str]) -> None:
    assert tell(small_api, **header).status_code == 204
    assert shown(small_api)["total"]["events"]["all"] == 0
    assert tell(small_api, DNT="0").status_code == 204
    assert shown(small_api)["total"]["events"]["all"] == 1


def test_nothing_of_a_visitor_is_kept_in_clear_or_beyond_the_day(api: Api) -> None:
    address, agent = "198.51.100.77", "Mozilla/5.0 (a rare browser)"
    tell(api, address=address, User_Agent=agent)
    with api.database.read() as connection:
        stored = [
            str(value) for table in tables.sorted_tables for row in connection.execute(select(table)) for value in row
        ]
        today = connection.execute(select(visitors.c.visitor)).scalar_one()
    assert not [value for value in stored if address in value or agent in value]
    with api.database.begin() as connection:
        insight_store.count_view(connection, "2999-01-01", address, agent, READING)
        salts = connection.execute(select(view_salts.c.day)).scalars().all()
        kept = connection.execute(select(visitors.c.day, visitors.c.visitor)).all()
    assert salts == ["2999-01-01"]  # the new day's first view threw the old day's salt and visitors away
    assert [row.day for row in kept] == ["2999-01-01"]
    assert kept[0].visitor != today
    with api.database.begin() as connection:
        insight_store.forget(connection, "2999-01-02")
        assert connection.execute(text("select count(*) from visitors")).scalar_one() == 0
    assert shown(api)["total"]["visitors"]["all"] == 1  # the counts stay


def test_days_are_chosen(api: Api) -> None:
    with api.database.begin() as connection:
        insight_store.count_view(connection, day(-40), "a", "b", READING)
        insight_store.count_view(connection, day(-3), "a", "b", READING)
    assert shown(api)["total"]["events"]["all"] == 1
    assert shown(api, 2)["total"]["events"] == {"hdr": 0, "all": 0, "share": None, "low": None, "high": None}
    assert [row["value"] for row in shown(api, 60)["by"]["day"]] == [day(-40), day(-3)]


def day(offset: int) -> str:
    """Another day than today."""
    return day_of(time.time() + offset * 86400)


@pytest.mark.parametrize(
    ("told", "status", "code", "words"),
    [
        ({**TOLD, "renderer": "Apple M3 Max"}, 422, "invalid_request", "renderer"),
        ({**TOLD, "address": "x"}, 422, "invalid_request", "address"),
        ({"dynamic_range": "high"}, 422, "invalid_request", "gamut"),
        ({**TOLD, "browser": "x" * 2000}, 413, "body_too_large", "1024 bytes"),
        ([], 422, "invalid_request", ""),
    ],
)
def test_what_is_not_a_reading_is_refused(small_api: Api, told: Any, status: int, code: str, words: str) -> None:
    answer = tell(small_api, told)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert words in answer.json["detail"]
    assert shown(small_api)["total"]["events"]["all"] == 0


def test_a_reading_is_json(small_api: Api) -> None:
    answer = small_api.client.post("/v1/insights/views", data="{}", content_type="text/plain")
    assert answer.json["code"] == "unsupported_media_type"  # which other sites' pages cannot send unasked


def test_one_address_is_slowed_down_and_no_other(small_api: Api) -> None:
    answers = [tell(small_api, address="192.0.2.9").status_code for _ in range(61)]
    assert answers == [204] * 60 + [429]
    refused = tell(small_api, address="192.0.2.9")
    assert refused.json["code"] == "rate_limited"
    assert "from this address" in refused.json["detail"]
    assert int(refused.headers["Retry-After"]) <= 60
    assert tell(small_api, address="192.0.2.10").status_code == 204


def test_only_a_key_with_the_scope_reads_them(small_api: Api) -> None:
    assert small_api.client.get("/v1/insights/hdr").status_code == 401
    key = small_api.key(scopes=[Scope.JOBS_READ])
    assert small_api.client.get("/v1/insights/hdr", headers=key).json["code"] == "missing_scope"
    key = small_api.key(scopes=[Scope.METRICS])
    assert small_api.client.get("/v1/insights/hdr", headers=key).status_code == 200
    for days in ("0", "401", "many"):
        assert small_api.get(f"/v1/insights/hdr?days={days}").json["code"] == "invalid_request"


def test_the_setting_switches_it_off(tmp_path: Path) -> None:
    api = make_api(tmp_path / "data", insights=False)
    assert tell(api).json["code"] == "insights_off"
    assert api.client.get("/static/beacon.js").data == b""
    assert shown(api)["counting"] is False
    close(api)


@pytest.mark.parametrize(("proxies", "visitors"), [(0, 1), (1, 2)])
def test_behind_a_proxy_its_word_is_taken_where_that_is_set(tmp_path: Path, proxies: int, visitors: int) -> None:
    api = make_api(tmp_path / "data", proxies=proxies)
    for address in ("192.0.2.1", "192.0.2.2"):
        tell(api, address="10.0.0.1", X_Forwarded_For=address)
    assert shown(api)["total"]["visitors"]["all"] == visitors
    close(api)


@pytest.mark.parametrize(  # Newcombe 1998, table I, method 3
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_the_literature(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)
    assert wilson(trials - successes, trials) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_nothing_has_no_interval() -> None:
    with pytest.raises(ValueError, match="0 of 0"):
        wilson(0, 0)
