"""The calls about batches, over both databases: what is refused, what is said twice, who sees what, and who is told."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api import batch_intake
from shared.batches import INLINE_CHARS
from shared.database import batch_store, webhook_store
from shared.database.key_store import Scope
from shared.database.tables import events, webhook_deliveries
from shared.events import EventType
from shared.removal import remove_unused
from tests.integration.test_api import problem
from tests.services.api import Api, close, make_api
from tests.services.batches import Duties, jsonl, rows, show, submit
from worker.sweeper import sweep, sweep_orphans

ROW = jsonl({"source": "s3://nowhere/a.jpg"})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"manifest": {}}, "invalid_request"),
        ({"manifest": {"inline": ROW, "s3": "bucket/x.csv"}}, "invalid_request"),
        ({"manifest": {"inline": ""}}, "invalid_request"),
        ({"manifest": {"inline": "x" * (INLINE_CHARS + 1)}}, "invalid_request"),
        ({"manifest": {"inline": ROW}, "options": {"strength": 9}}, "invalid_request"),
        ({"manifest": {"inline": ROW}, "webhook": {"url": "ftp://x"}}, "invalid_request"),
        ({"manifest": {"inline": ROW}, "format": "xml"}, "invalid_request"),
        ({"manifest": {"inline": ROW}, "model": "none-such"}, "unknown_model"),
        ({"manifest": {"inline": ROW}, "output": {"prefix": "bucket/x"}}, "bucket_not_allowed"),
        ({"manifest": {"s3": "bucket/rows.jsonl"}}, "bucket_not_allowed"),
        ({"manifest": {"upload": "0" * 32}}, "upload_not_found"),
    ],
)
def test_refusals_leave_nothing_behind(api: Api, body: dict[str, Any], code: str) -> None:
    before = api.everything()
    assert problem(api.call("POST", "/v1/batches", json=body)) == code
    assert api.everything() == before
    assert api.get("/v1/batches").json == {"batches": [], "next": None}


def test_forms_and_templates(tmp_path: Path) -> None:
    api = make_api(tmp_path / "data", source_buckets=("bucket",), output_buckets=("bucket",))
    for manifest, more, code in (
        ({"s3": "bucket/rows.txt"}, {}, "unknown_manifest"),
        ({"s3": "bucket/prefix/"}, {"format": "csv"}, "unknown_manifest"),
        ({"inline": ROW}, {"output": {"prefix": "bucket", "template": "x.jpg"}}, "bad_template"),
    ):
        assert problem(submit(api, manifest, **more)) == code
    for text, form in (("source\na/b.jpg", "csv"), (' {"source": "x"}', "jsonl")):
        batch_id = submit(api, text).json["id"]
        with api.database.read() as connection:
            batch = batch_store.get(connection, batch_id)
        assert batch is not None
        assert batch.form == form
    close(api)


def test_the_same_request_twice_is_one_batch(api: Api) -> None:
    key = {"Idempotency-Key": "mine"}
    first = submit(api, ROW, headers=key)
    again = submit(api, ROW, headers=key)
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert problem(submit(api, ROW, name="other", headers=key)) == "idempotency_mismatch"
    assert problem(api.submit(headers=key)) == "idempotency_mismatch"
    assert len(api.get("/v1/batches").json["batches"]) == 1
    assert submit(api, ROW).json["id"] != first.json["id"]


def test_who_may_and_who_sees(api: Api) -> None:
    batch_id = submit(api, ROW).json["id"]
    path = f"/v1/batches/{batch_id}"
    reader, other = api.key(scopes=[Scope.JOBS_READ, Scope.JOBS_WRITE]), api.key("two")
    assert api.client.get(path, headers=reader).status_code == 200
    assert problem(submit(api, ROW, headers=reader)) == "missing_scope"
    assert submit(api, ROW, headers=api.key(scopes=[Scope.BATCHES])).status_code == 202
    for method, piece in (
        ("GET", ""),
        ("GET", "/rows"),
        ("GET", "/report"),
        ("GET", "/summary"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/cancel"),
        ("POST", "/rerun"),
        ("DELETE", ""),
    ):
        assert problem(api.call(method, path + piece, headers=other)) == "batch_not_found"
        if method != "GET":
            assert problem(api.call(method, path + piece, headers=reader)) == "missing_scope"
    assert api.get("/v1/batches", headers=other).json["batches"] == []
    assert problem(api.get("/v1/batches/x")) == "malformed_id"


def test_pages_filters_and_etags(api: Api) -> None:
    made = [submit(api, ROW, name=str(number)).json["id"] for number in range(5)]
    first = api.get("/v1/batches?limit=3").json
    second = api.get(f"/v1/batches?limit=3&cursor={first['next']}").json
    assert [batch["id"] for batch in first["batches"] + second["batches"]] == made[::-1]
    assert second["next"] is None
    assert api.get("/v1/batches?limit=5").json["next"] is None
    api.call("POST", f"/v1/batches/{made[0]}/cancel")
    assert [batch["id"] for batch in api.get("/v1/batches?status=canceled").json["batches"]] == [made[0]]
    answer = api.get(f"/v1/batches/{made[1]}")
    etag = {"If-None-Match": answer.headers["ETag"]}
    assert api.get(f"/v1/batches/{made[1]}", headers=etag).status_code == 304
    with Duties(api) as duties:
        duties.run()
    assert api.get(f"/v1/batches/{made[1]}", headers=etag).status_code == 200
    assert problem(api.get(f"/v1/batches/{made[1]}/rows?cursor=!")) == "bad_cursor"
    assert problem(api.get(f"/v1/batches/{made[1]}/rows?outcome=lost")) == "invalid_request"


def test_rows_are_paged_by_line(api: Api) -> None:
    batch_id = submit(api, ROW * 20 + "bad\n").json["id"]
    with Duties(api) as duties:
        duties.validate()
    assert [row["line"] for row in rows(api, batch_id)] == list(range(1, 22))
    assert [row["line"] for row in rows(api, batch_id, "&outcome=failed")] == [21]
    assert [row["line"] for row in rows(api, batch_id, "&outcome=waiting")] == list(range(1, 21))


def test_batches_and_their_manifests_outlive_the_sweeper(api: Api) -> None:
    announced = api.call("POST", "/v1/uploads", json={"content_type": "text/csv"}).json
    api.client.put(announced["url"], data=b"source\nx/y.jpg\n", headers=announced["headers"])
    ids = [submit(api, {"upload": announced["id"]}).json["id"], submit(api, ROW).json["id"]]
    with api.database.begin() as connection:
        connection.exec_driver_sql("update uploads set expires = 1")
    sweep(api.database, api.store)
    assert sweep_orphans(api.database, api.store, age=-1) == 0
    with Duties(api) as duties:
        duties.run()
        assert [show(api, batch_id)["status"] for batch_id in ids] == ["completed", "completed"]
        assert sweep_orphans(api.database, api.store, age=-1) == 2  # the manifests, which are read
    for batch_id in ids:
        assert api.get(f"/v1/batches/{batch_id}/report").status_code == 302
        assert not remove_unused(api.database, api.store, f"reports/{batch_id}/report.jsonl")


def test_too_many_open_batches(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_intake, "MAX_OPEN", 2)
    first = submit(api, ROW).json["id"]
    submit(api, ROW)
    before = api.everything()
    assert problem(submit(api, ROW)) == "too_many_batches"
    assert api.everything() == before
    api.call("POST", f"/v1/batches/{first}/cancel")
    with Duties(api) as duties:
        duties.finish()
    assert submit(api, ROW).status_code == 202


def test_a_quota_holds_rows_back(api: Api) -> None:
    key = api.key("small", quota=0)
    assert problem(submit(api, ROW, headers=key)) == "quota_exceeded"


def test_events_are_told_to_those_who_want_them(api: Api) -> None:
    own = {"url": "https://example.com/own"}
    with api.database.begin() as connection:
        made = webhook_store.create(connection, "one", "https://example.com/all", [], time.time())
    assert made is not None
    batch_id = submit(api, ROW, webhook=own, metadata={"order": 7}).json["id"]
    with Duties(api) as duties:
        duties.run()
        duties.collector.look()
    with api.database.read() as connection:
        told = connection.execute(select(events).order_by(events.c.created)).all()
        receivers = connection.execute(
            select(webhook_deliveries.c.url).join(events, events.c.id == webhook_deliveries.c.event)
        ).scalars()
        urls = sorted(str(url) for url in receivers)
    assert [event.type for event in told][-1] == EventType.BATCH_COMPLETED
    assert {event.type for event in told} <= {EventType.BATCH_COMPLETED, EventType.BATCH_PROGRESS}
    completed = told[-1].data
    assert (completed["id"], completed["status"], completed["metadata"]) == (batch_id, "completed", {"order": 7})
    assert completed["counts"]["failed"] == 1
    assert "secret" not in str(completed)
    assert urls.count("https://example.com/own") == 1


def test_progress_is_told_at_most_once_in_a_while(api: Api) -> None:
    with api.database.begin() as connection:
        webhook_store.create(connection, "one", "https://example.com/all", [], time.time())
    batch_id = submit(api, ROW * 3).json["id"]
    now = time.time()
    with Duties(api) as duties:
        duties.validate()
    with api.database.begin() as connection:
        batch = batch_store.get(connection, batch_id)
        assert batch is not None
        assert batch_store.tell_progress(connection, batch, now + 1)
        assert not batch_store.tell_progress(connection, batch, now + 1 + batch_store.PROGRESS_SECONDS / 2)
        assert not batch_store.tell_progress(connection, batch, now + 1 + batch_store.PROGRESS_SECONDS), "no news"
        later = now + 2 * batch_store.PROGRESS_SECONDS
        batch_store.shift(connection, batch_id, {}, now + 5)
        assert batch_store.tell_progress(connection, batch, later)


def test_metrics_count_rows_and_batches(api: Api) -> None:
    submit(api, ROW + "bad\n")
    with Duties(api) as duties:
        duties.run()
    text = api.get("/metrics").text
    assert 'regain_batch_rows_total{outcome="failed"} 2.0' in text
    assert 'regain_batches{status="completed"} 1.0' in text
