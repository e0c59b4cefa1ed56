"""Keys, limits, health, direct uploads, other sources, audit, and the pages about the API itself."""

import io
import re
import time
from pathlib import Path

import pytest

from api.app import create_app
from api.auth import OPEN, SCOPES
from api.problems import TABLE
from shared.broker import BrokerUnavailableError, Publisher
from shared.database import key_store, watch
from shared.database.key_store import Scope
from shared.jobs import Queue
from tests.golden.recipe import Recipe, build, photo
from tests.integration.test_api import problem
from tests.services.api import Api, close, make_api

ROOT = Path(__file__).parents[2]


def test_every_endpoint_says_what_key_it_needs(small_api: Api) -> None:
    endpoints = {rule.endpoint for rule in small_api.client.application.url_map.iter_rules()}
    assert endpoints == set(SCOPES) | OPEN


def test_no_key_wrong_key_wrong_scope_wrong_tenant(small_api: Api) -> None:
    job_id = small_api.submit().json["id"]
    path = f"/v1/jobs/{job_id}"
    nobody = small_api.client.get(path)
    assert problem(nobody) == "no_key"
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    assert problem(small_api.client.get(path, headers={"Authorization": "Basic x"})) == "no_key"
    assert problem(small_api.client.get(path, headers={"Authorization": "Bearer rgn_x_y"})) == "bad_key"
    reader = small_api.key(scopes=[Scope.JOBS_READ])
    assert small_api.client.get(path, headers=reader).status_code == 200
    assert problem(small_api.client.delete(path, headers=reader)) == "missing_scope"
    for method, piece in (("GET", ""), ("GET", "/result"), ("GET", "/events"), ("POST", "/cancel"), ("DELETE", "")):
        answer = small_api.call(method, path + piece, headers=small_api.key("two"))
        assert problem(answer) == "job_not_found"


def test_a_revoked_key_ends(small_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.auth.REMEMBERED", 0.0)
    assert small_api.get("/v1/jobs").status_code == 200
    with small_api.database.begin() as connection:
        for key in key_store.every(connection):
            key_store.revoke(connection, key.id, time.time())
    assert problem(small_api.get("/v1/jobs")) == "bad_key"


def test_requests_of_a_key_are_limited_but_polls_are_not(tmp_path: Path) -> None:
    api = make_api(tmp_path / "data", rate_limit="3/minute")
    job_id = api.submit().json["id"]
    for _ in range(10):
        assert api.get(f"/v1/jobs/{job_id}").status_code == 200
    assert [api.get("/v1/jobs").status_code for _ in range(3)] == [200, 200, 429]
    refused = api.get("/v1/jobs")
    assert problem(refused) == "rate_limited"
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    assert api.get("/v1/jobs", headers=api.key("two")).status_code == 200
    close(api)


def test_readiness_names_what_is_missing(small_api: Api) -> None:
    assert small_api.client.get("/healthz").json == {"status": "ok"}
    answer = small_api.client.get("/readyz")
    assert answer.status_code == 503
    failing = {name for name, check in answer.json["checks"].items() if not check["ok"]}
    assert failing == {"broker", "worker"}
    with small_api.database.begin() as connection:
        watch.saw_worker(connection, "host/1", "interactive", time.time())
    assert small_api.client.get("/readyz").json["checks"]["worker"]["ok"]


def test_a_job_is_accepted_while_the_broker_is_away(tmp_path: Path) -> None:
    api = make_api(tmp_path / "data", redis_url="redis://127.0.0.1:1/0")
    begun = time.monotonic()
    assert api.submit().status_code == 202
    assert time.monotonic() - begun < 5
    assert api.everything()[1:] == (1, 1, 0)  # the message waits in the outbox
    assert not api.client.get("/readyz").json["checks"]["broker"]["ok"]
    close(api)


def test_a_published_message_leaves_the_outbox(small_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sent(Publisher):
        def __init__(self) -> None:
            self.ids: list[tuple[str, Queue]] = []

        def publish(self, job_id: str, queue: Queue) -> None:
            if self.ids:
                raise BrokerUnavailableError("away")
            self.ids.append((job_id, queue))

    sent = Sent()
    monkeypatch.setattr(small_api.client.application.extensions["regain"].submitter, "_publisher", sent)
    first = small_api.submit().json["id"]
    assert sent.ids == [(first, Queue.INTERACTIVE)]
    assert small_api.everything()[2] == 0
    assert small_api.submit(name="b.jpg").status_code == 202
    assert small_api.everything()[2] == 1


def test_a_direct_upload(small_api: Api) -> None:
    announced = small_api.call("POST", "/v1/uploads", json={"content_type": "image/jpeg", "size": len(photo())})
    assert announced.status_code == 201
    terms = announced.json
    body = {"source": {"upload": terms["id"]}, "name": "mine.jpg"}
    assert problem(small_api.call("POST", "/v1/jobs", json=body)) == "upload_not_received"
    url, headers = terms["url"], terms["headers"]
    wrong = small_api.client.put(url, data=photo(), headers={"Content-Type": "text/html"})
    assert problem(wrong) == "unsupported_media_type"
    assert problem(small_api.client.put(url, data=photo() + b"x", headers=headers)) == "body_too_large"
    assert (
        problem(small_api.client.put(url.replace("limit=", "limit=9"), data=b"x", headers=headers)) == "bad_signature"
    )
    assert small_api.client.put(url, data=photo(), headers=headers).status_code == 204
    answer = small_api.call("POST", "/v1/jobs", json=body)
    assert (answer.status_code, answer.json["name"]) == (202, "mine.jpg")
    assert small_api.store.get(small_api.job(answer.json["id"]).source_key) == photo()
    other = small_api.call("POST", "/v1/jobs", json=body, headers=small_api.key("two"))
    assert problem(other) == "upload_not_found"


def test_an_original_is_kept_and_counts(small_api: Api) -> None:
    alone = small_api.job(small_api.submit().json["id"])
    original = build(Recipe())
    options = '{"metadata": "original", "min_confidence": 0.5, "on_wrong_original": "unguided"}'
    answer = small_api.submit(original=(io.BytesIO(original), "o.jpg"), options=options)
    job = small_api.job(answer.json["id"])
    assert job.result_key.split("/")[1] != alone.result_key.split("/")[1]
    assert job.original_key is not None
    assert small_api.store.get(job.original_key) == original
    assert answer.json["options"] == {"metadata": "original", "min_confidence": 0.5, "on_wrong_original": "unguided"}
    small_api.call("DELETE", f"/v1/jobs/{job.id}")
    assert small_api.everything()[0] == [alone.source_key]


def test_audit_leaves_nothing_behind(small_api: Api) -> None:
    before = small_api.everything()
    good = small_api.call("POST", "/v1/audit", data=build(Recipe()), headers={"Content-Type": "image/jpeg"})
    assert good.json["ok"]
    bad = build(Recipe(mpf_offset_delta=7))
    form = small_api.call("POST", "/v1/audit", data={"photo": (io.BytesIO(bad), "x.jpg")})
    assert not form.json["ok"]
    assert {"code", "severity", "readers", "offset", "message", "mend"} == set(form.json["findings"][0])
    flat = small_api.call("POST", "/v1/audit", data=photo(), headers={"Content-Type": "image/jpeg"})
    assert [finding["code"] for finding in flat.json["findings"]] == ["no_gain_map"]
    text = small_api.call("POST", "/v1/audit", data=b"no jpeg", headers={"Content-Type": "image/jpeg"})
    assert problem(text) == "not_a_jpeg"
    assert small_api.everything() == before


def test_pages_name_every_call_and_every_problem(small_api: Api) -> None:
    docs = small_api.client.get("/docs").text
    paths = small_api.client.get("/openapi.json").json["paths"]
    assert {"/v1/jobs", "/v1/jobs/{job_id}/events", "/v1/uploads", "/v1/audit", "/readyz", "/metrics"} <= set(paths)
    assert all(path in docs for path in paths)
    page = small_api.client.get("/problems").text
    assert re.findall(r'<tr id="(\w+)">', page) == list(TABLE)


def test_the_manual_has_the_same_table_of_problems() -> None:
    manual = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| (.+?) \|$", manual, re.MULTILINE)
    assert rows == [(code, str(kind.status), kind.title) for code, kind in TABLE.items()]


def test_each_application_has_its_own_services(small_api: Api) -> None:
    other = create_app(small_api.settings)
    assert other.extensions["regain"] is not small_api.client.application.extensions["regain"]
