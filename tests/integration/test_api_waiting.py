"""Waiting for a job: long polls, `Prefer: wait`, conditional requests, event streams, and their limit."""

import threading
import time
from collections.abc import Callable

from api.waiting import MAX_WAITERS
from tests.services.api import Api


def later(seconds: float, call: Callable[[], object]) -> threading.Thread:
    """Run something in a moment."""

    def go() -> None:
        time.sleep(seconds)
        call()

    thread = threading.Thread(target=go)
    thread.start()
    return thread


def test_an_unchanged_job_is_not_sent_again(api: Api) -> None:
    job_id = api.submit().json["id"]
    etag = api.get(f"/v1/jobs/{job_id}").headers["ETag"]
    assert etag == '"1"'
    unchanged = api.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    api.claim(job_id)
    assert api.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": etag}).status_code == 200


def test_a_long_poll_answers_when_the_job_ends(api: Api) -> None:
    job_id = api.submit().json["id"]
    thread, begun = later(0.3, lambda: api.finish(job_id)), time.monotonic()
    assert api.get(f"/v1/jobs/{job_id}?wait=10").json["status"] == "succeeded"
    assert 0.2 < time.monotonic() - begun < 5
    thread.join()


def test_a_long_poll_ends_in_time(small_api: Api) -> None:
    job_id, begun = small_api.submit().json["id"], time.monotonic()
    assert small_api.get(f"/v1/jobs/{job_id}?wait=1").json["status"] == "queued"
    assert 0.9 < time.monotonic() - begun < 3


def test_a_submission_may_wait_for_its_result(small_api: Api) -> None:
    headers = {"Prefer": "respond-async, wait=10"}

    def work() -> None:
        small_api.finish(small_api.get("/v1/jobs").json["jobs"][0]["id"])

    thread = later(0.3, work)
    answer = small_api.submit(headers=headers)
    thread.join()
    assert (answer.status_code, answer.json["status"]) == (200, "succeeded")
    assert answer.headers["Preference-Applied"] == "wait=10"


def test_who_finds_no_room_is_answered_at_once(small_api: Api) -> None:
    job_id = small_api.submit().json["id"]
    waiting = small_api.client.application.extensions["regain"].waiting
    for _ in range(MAX_WAITERS):
        assert waiting.enter()
    begun = time.monotonic()
    assert small_api.get(f"/v1/jobs/{job_id}?wait=10").json["status"] == "queued"
    assert "id: 1" in small_api.get(f"/v1/jobs/{job_id}/events").text
    assert time.monotonic() - begun < 1


def test_events_follow_a_job_to_its_end(api: Api) -> None:
    job_id = api.submit().json["id"]
    thread = later(0.3, lambda: api.finish(job_id))
    text = api.get(f"/v1/jobs/{job_id}/events").text
    thread.join()
    assert text.startswith("retry: ")
    assert "event: job\nid: 1\ndata: {" in text
    assert '"status": "succeeded"' in text.split("data: ")[-1]


def test_events_resume_after_the_one_that_was_seen(small_api: Api) -> None:
    job_id = small_api.submit().json["id"]
    small_api.finish(job_id)
    version = small_api.job(job_id).version
    url = f"/v1/jobs/{job_id}/events"
    assert f"id: {version}" in small_api.get(url, headers={"Last-Event-ID": str(version - 1)}).text
    assert "id:" not in small_api.get(url, headers={"Last-Event-ID": str(version)}).text


def test_a_closed_event_stream_gives_its_place_back(small_api: Api) -> None:
    job_id = small_api.submit().json["id"]
    for _ in range(MAX_WAITERS + 3):
        stream = small_api.get(f"/v1/jobs/{job_id}/events", buffered=False)
        assert next(iter(stream.response)) is not None
        stream.close()
    waiting = small_api.client.application.extensions["regain"].waiting
    assert waiting.enter()
