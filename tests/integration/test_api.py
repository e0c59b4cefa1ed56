"""The API over SQLite and PostgreSQL: what every call does to jobs, and what it says."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest
from flask import json

from shared.database import job_store, request_store
from shared.database.key_store import Scope
from shared.ultrahdr import parse
from tests.golden.recipe import Recipe, build, photo
from tests.services.api import Answer, Api


def problem(response: Answer) -> str:
    """The code of a refusal."""
    body = response.json
    assert response.content_type == "application/problem+json"
    assert body["type"] == f"/problems#{body['code']}"
    assert body["status"] == response.status_code
    return str(body["code"])


def test_a_photo_goes_in_and_a_result_comes_out(api: Api) -> None:
    answer = api.submit(options=json.dumps({"strength": 0.5}), metadata=json.dumps({"order": 7}))
    assert answer.status_code == 202
    job_id = answer.json["id"]
    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"
    assert answer.headers["Retry-After"] == "1"
    assert (answer.json["status"], answer.json["options"], answer.json["metadata"]) == (
        "queued",
        {"strength": 0.5},
        {"order": 7},
    )
    assert api.store.get(api.job(job_id).source_key) == photo()
    assert problem(api.get(f"/v1/jobs/{job_id}/result")) == "not_finished"

    data = api.finish(job_id)
    shown = api.get(f"/v1/jobs/{job_id}").json
    assert (shown["status"], shown["percent"], shown["attempt"]) == ("succeeded", 100, 1)
    assert shown["result"]["size"] == len(data)
    assert shown["result"]["audit"][0]["code"] == "x"
    assert shown["timings"] == {"predict": 0.5}
    assert shown["created"] <= shown["started"] <= shown["finished"] < shown["expires"]

    link = api.get(f"/v1/jobs/{job_id}/result")
    assert link.status_code == 302
    file = api.client.get(link.headers["Location"])
    assert (file.data, file.content_type) == (data, "image/jpeg")
    assert 'filename="a_hdr.jpg"' in file.headers["Content-Disposition"]


def test_the_pieces_of_a_result(api: Api) -> None:
    job_id = api.submit().json["id"]
    data = api.finish(job_id)
    parts = parse(data)
    assert api.get(f"/v1/jobs/{job_id}/base").data == parts.primary
    assert api.get(f"/v1/jobs/{job_id}/gainmap").data == parts.gain_map
    shown = api.get(f"/v1/jobs/{job_id}/metadata").json
    assert shown["source"] == "iso"
    assert shown["metadata"]["gain_map_max"] == 2.0


def test_the_same_submission_is_the_same_job(api: Api) -> None:
    first = api.submit()
    again = api.submit()
    assert again.json["id"] == first.json["id"]
    assert (first.json["deduplicated"], again.json["deduplicated"]) == (False, True)
    assert api.everything()[1:] == (1, 1, 0)


def test_twenty_identical_submissions_at_once_are_one_job(api: Api) -> None:
    gate = threading.Barrier(20)

    def go(_: int) -> str:
        gate.wait()
        return str(api.submit().json["id"])

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(go, range(20)))) == 1
    assert api.everything()[1:] == (1, 1, 0)


def test_a_stored_result_answers_at_once(api: Api) -> None:
    first = api.submit().json
    api.finish(first["id"])
    second = api.submit(name="b.jpg", options=json.dumps({"strength": 1.0}))
    assert second.status_code == 200
    assert second.json["id"] != first["id"]
    assert (second.json["status"], second.json["deduplicated"]) == ("succeeded", True)
    assert second.json["result"] == api.get(f"/v1/jobs/{first['id']}").json["result"]
    assert api.everything()[2] == 1  # the first one's message alone
    other = api.submit(headers=api.key("two"))
    assert (other.status_code, other.json["deduplicated"]) == (202, False)  # another tenant does its own


def test_whoever_deletes_a_job_leaves_what_others_need(api: Api) -> None:
    first = api.submit().json["id"]
    api.finish(first)
    second = api.submit(name="b.jpg").json["id"]
    assert api.call("DELETE", f"/v1/jobs/{first}").status_code == 204
    assert problem(api.get(f"/v1/jobs/{first}")) == "job_not_found"
    assert len(api.everything()[0]) == 2
    assert api.get(f"/v1/jobs/{second}/result").status_code == 302
    api.call("DELETE", f"/v1/jobs/{second}")
    assert api.everything() == ([], 0, 0, 0)


def test_a_photo_that_was_deleted_is_stored_again(api: Api) -> None:
    first = api.submit().json["id"]
    api.call("DELETE", f"/v1/jobs/{first}")
    second = api.submit().json["id"]
    assert second != first
    assert api.store.get(api.job(second).source_key) == photo()


def test_cancel_and_retry(api: Api) -> None:
    job_id = api.submit().json["id"]
    assert problem(api.call("POST", f"/v1/jobs/{job_id}/retry")) == "not_retryable"
    assert api.call("POST", f"/v1/jobs/{job_id}/cancel").json["status"] == "canceled"
    assert api.call("POST", f"/v1/jobs/{job_id}/cancel").status_code == 200
    assert problem(api.get(f"/v1/jobs/{job_id}/result")) == "no_result"
    again = api.call("POST", f"/v1/jobs/{job_id}/retry")
    assert (again.status_code, again.json["status"], again.json["attempt"]) == (202, "queued", 0)
    api.fail(job_id)
    shown = api.get(f"/v1/jobs/{job_id}").json
    assert shown["error"] == {"code": "damaged", "message": "the photo is damaged"}
    assert problem(api.call("POST", f"/v1/jobs/{job_id}/cancel")) == "already_finished"


def test_after_retention_the_result_is_gone(api: Api) -> None:
    job_id = api.submit(retention_hours="0.5").json["id"]
    api.finish(job_id)
    assert api.job(job_id).retention == 1800
    with api.database.begin() as connection:
        job_store.forget_result(connection, job_id, time.time())
    for piece in ("result", "base", "gainmap", "metadata"):
        assert problem(api.get(f"/v1/jobs/{job_id}/{piece}")) == "gone"
    assert api.submit(retention_hours="0.5").json["id"] != job_id


def test_lists_come_in_pages_newest_first(api: Api) -> None:
    made = [api.submit(name=f"{number}.jpg").json["id"] for number in range(5)]
    api.call("POST", f"/v1/jobs/{made[0]}/cancel")
    seen: list[str] = []
    query = "limit=2"
    while query:
        page = api.get(f"/v1/jobs?{query}").json
        seen += [job["id"] for job in page["jobs"]]
        query = page["next"] and f"limit=2&cursor={page['next']}"
    assert seen == made[::-1]
    assert api.get("/v1/jobs?limit=5").json["next"] is None  # full, and the last
    assert [job["id"] for job in api.get("/v1/jobs?state=canceled").json["jobs"]] == made[:1]
    assert api.get("/v1/jobs?created_after=2100-01-01T00:00:00Z").json["jobs"] == []
    assert api.get("/v1/jobs", headers=api.key("two")).json["jobs"] == []


def test_idempotency_keys(api: Api) -> None:
    headers = {"Idempotency-Key": "order-7"}
    first = api.submit(headers=headers)
    again = api.submit(headers=headers)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert problem(api.submit(headers=headers, options='{"strength": 2}')) == "idempotency_mismatch"
    assert api.submit(headers={**headers, **api.key("two")}).json["id"] != first.json["id"]


def test_a_refused_request_gives_its_idempotency_key_back(api: Api) -> None:
    headers = {"Idempotency-Key": "order-8"}
    assert problem(api.submit(b"", headers=headers)) == "empty"
    assert api.submit(headers=headers).status_code == 202


def test_a_request_under_way_holds_its_idempotency_key(api: Api) -> None:
    with api.database.begin() as connection:
        assert request_store.reserve(connection, "one", "order-9", time.time()) is None
    answer = api.submit(headers={"Idempotency-Key": "order-9"})
    assert problem(answer) == "idempotency_in_flight"
    assert answer.headers["Retry-After"] == "1"


def test_quotas(api: Api) -> None:
    headers = api.key("three", quota=1)
    assert api.submit(headers=headers).status_code == 202
    refused = api.submit(build(Recipe()), headers=headers)
    assert problem(refused) == "quota_exceeded"
    assert 0 < int(refused.headers["Retry-After"]) <= 86400


def test_metrics(api: Api) -> None:
    api.finish(api.submit().json["id"])
    api.submit(name="b.jpg", queue="bulk")
    text = api.get("/metrics").text
    assert 'regain_submitted_total{queue="interactive"} 1.0' in text
    assert 'regain_finished_total{outcome="succeeded"} 2.0' in text  # the second was answered from store
    assert 'regain_queue_load{queue="bulk"} 0.0' in text
    assert 'regain_stage_seconds_sum_total{stage="predict"} 0.5' in text
    refused = api.client.get("/metrics", headers=api.key(scopes=[Scope.JOBS_READ]))
    assert problem(refused) == "missing_scope"


def test_a_photo_that_vanishes_before_the_commit_is_stored_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    submitter = api.client.application.extensions["regain"].submitter
    keep, kept = submitter._keep, []

    def keep_and_lose(key: str, content_type: str, stream: BinaryIO) -> None:
        keep(key, content_type, stream)
        kept.append(key)
        if len(kept) < 3:
            api.store.delete(key)

    monkeypatch.setattr(submitter, "_keep", keep_and_lose)
    job_id = api.submit().json["id"]
    assert len(kept) == 3
    assert api.store.get(api.job(job_id).source_key) == photo()


def test_deleting_and_submitting_at_once_leaves_no_job_without_its_photo(api: Api) -> None:
    def go(number: int) -> set[int]:
        if number % 3:
            return {api.submit().status_code}
        jobs = api.get("/v1/jobs").json["jobs"]
        return {api.call("DELETE", f"/v1/jobs/{job['id']}").status_code for job in jobs}

    with ThreadPoolExecutor(4) as pool:
        seen = set().union(*pool.map(go, range(36)))
    assert seen <= {202, 204, 404}
    for job in api.get("/v1/jobs").json["jobs"]:
        assert api.store.get(api.job(job["id"]).source_key) == photo()
