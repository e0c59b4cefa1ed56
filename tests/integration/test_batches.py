"""Batches over both databases, a real S3 server and the real duties; what workers do to a job's row is done by hand."""

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3.session
import pytest

from shared.batches import Batch, BatchStatus
from shared.buckets import Buckets
from shared.database import batch_store
from tests.golden.recipe import photo
from tests.integration.test_api import problem
from tests.services.api import Api, close, make_api
from tests.services.batches import Duties, jsonl, queued, rows, show, submit
from tests.services.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, moto_server
from tests.services.stack import marked
from worker.batches import validator as validating

OUT = "regain-out"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        client(server).create_bucket(Bucket=OUT)
        yield server


def client(server: S3Server) -> Any:
    session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
    return session.client("s3", endpoint_url=server.endpoint)


@pytest.fixture(params=["sqlite", "postgresql"])
def library(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server) -> Iterator[Api]:
    """An API that may read one bucket with five photos, two of them the same, and write to another."""
    bodies = {f"{name}.jpg": marked(photo(), f"photo {name}") for name in ("a/1", "a/2", "b/3", "b/4")}
    bodies |= {"b/again.jpg": bodies["a/1.jpg"], "b/words.txt": b"no photo"}
    server = client(s3)
    for bucket in (BUCKET, OUT):
        if there := [{"Key": found["Key"]} for found in server.list_objects_v2(Bucket=bucket).get("Contents", ())]:
            server.delete_objects(Bucket=bucket, Delete={"Objects": there})
    for name, body in bodies.items():
        server.put_object(Bucket=BUCKET, Key=name, Body=body)
    url = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = make_api(
        tmp_path / "data",
        url,
        s3_endpoint=s3.endpoint,
        s3_access_key=ACCESS_KEY,
        s3_secret_key=SECRET_KEY,
        source_buckets=(BUCKET,),
        output_buckets=(OUT, BUCKET),
        batch_window=3,
    )
    yield made
    close(made)


def adds_up(batch: dict[str, Any], found: list[dict[str, Any]]) -> bool:
    """The counts are what the rows say."""
    counted = Counter(row["outcome"] for row in found)
    return all(batch["counts"][name] == counted[name] for name in batch["counts"] if name != "total") and batch[
        "counts"
    ]["total"] == len(found)


def keys(server: S3Server, bucket: str) -> list[str]:
    return sorted(found["Key"] for found in client(server).list_objects_v2(Bucket=bucket).get("Contents", ()))


def fetched(api: Api, batch_id: str, part: str) -> bytes:
    link = api.get(f"/v1/batches/{batch_id}/{part}")
    assert link.status_code == 302
    data: bytes = api.client.get(link.headers["Location"]).data
    return data


def test_a_prefix_comes_out_restored(library: Api, s3: S3Server) -> None:
    answer = submit(library, {"s3": f"{BUCKET}/"}, output={"prefix": f"{OUT}/done"}, name="holidays")
    assert (answer.status_code, answer.json["status"]) == (202, "validating")
    batch_id = answer.json["id"]
    assert answer.headers["Location"] == f"/v1/batches/{batch_id}"
    with Duties(library) as duties:
        duties.run()
    batch, found = show(library, batch_id), rows(library, batch_id)
    assert batch["status"] == "completed"
    assert adds_up(batch, found)
    assert Counter(row["outcome"] for row in found) == {"restored": 4, "duplicate": 1}
    assert {row["source"]: row["duplicate_of"] for row in found}[
        f"s3://{BUCKET}/b/again.jpg"
    ] == f"s3://{BUCKET}/a/1.jpg"
    assert keys(s3, OUT) == ["done/a/1_hdr.jpg", "done/a/2_hdr.jpg", "done/b/3_hdr.jpg", "done/b/4_hdr.jpg"]
    assert client(s3).get_object(Bucket=OUT, Key="done/a/1_hdr.jpg")["ContentType"] == "image/jpeg"
    lines = [json.loads(line) for line in fetched(library, batch_id, "report").splitlines()]
    table = list(csv.DictReader(io.StringIO(fetched(library, batch_id, "summary").decode())))
    assert [line["line"] for line in lines] == [int(line["line"]) for line in table] == [1, 2, 3, 4, 5]
    assert [line["outcome"] for line in lines] == [row["outcome"] for row in found]
    assert lines[0]["output"] == f"{OUT}/done/a/1_hdr.jpg"
    assert lines[0]["seconds"] == 0.5
    jobs = library.get("/v1/jobs").json["jobs"]
    assert {(job["queue"], job["batch"]) for job in jobs} == {("bulk", batch_id)}

    again = submit(library, {"s3": f"{BUCKET}/"}, output={"prefix": f"{OUT}/done"}).json["id"]
    with Duties(library) as duties:
        duties.run()
    counts = show(library, again)["counts"]
    # What has no output, as a duplicate has none, is worked on again: its result is stored.
    assert (counts["skipped_done"], counts["restored"], counts["failed"]) == (4, 1, 0)


def test_every_outcome_has_its_row(library: Api) -> None:
    manifest = jsonl(
        {"source": f"s3://{BUCKET}/a/1.jpg", "metadata": {"n": 1}, "options": {"strength": 0.5}},
        {"source": f"{BUCKET}/a/2.jpg"},
        "{no json",
        {"source": f"s3://{BUCKET}/nothing.jpg"},
        {"source": f"s3://{BUCKET}/b/words.txt"},
        {"source": "s3://another-bucket/x.jpg"},
        {"source": "http://127.0.0.1/x.jpg"},
        {"source": "upload:00000000000000000000000000000000"},
        {"source": f"{BUCKET}/b/3.jpg", "output": "x.jpg"},
        {"source": f"{BUCKET}/b/3.jpg"},
        {"source": f"{BUCKET}/b/4.jpg"},
        {"source": "nowhere"},
        {"source": f"{BUCKET}/b/4.jpg", "metadata": {"n": float("nan")}},
    )
    batch_id = submit(library, manifest, options={"strength": 0.9}, metadata={"order": 7}).json["id"]
    with Duties(library) as duties:
        duties.run(fail=("3.jpg",), unchanged=("4.jpg",))
    batch, found = show(library, batch_id), rows(library, batch_id)
    assert adds_up(batch, found)
    assert batch["metadata"] == {"order": 7}
    assert [(row["outcome"], (row["error"] or {}).get("code")) for row in found] == [
        ("restored", None),
        ("restored", None),
        ("failed", "not_json"),
        ("failed", "source_not_found"),
        ("failed", "unsupported_format"),
        ("failed", "bucket_not_allowed"),
        ("failed", "url_not_allowed"),
        ("failed", "upload_not_found"),
        ("failed", "bad_output"),
        ("failed", "damaged"),
        ("unchanged", None),
        ("failed", "bad_source"),
        ("failed", "bad_metadata"),
    ]
    assert found[2]["error"]["message"].startswith("line 3")
    assert found[0]["metadata"] == {"n": 1}
    first = library.get(f"/v1/jobs/{found[0]['job']}").json
    assert (first["options"], first["metadata"], first["name"]) == ({"strength": 0.5}, {"n": 1}, "1.jpg")
    assert library.get(f"/v1/jobs/{found[1]['job']}").json["options"] == {"strength": 0.9}
    assert sum(failure["count"] for failure in batch["failures"]) == batch["counts"]["failed"] == 10
    assert rows(library, batch_id, "&outcome=failed") == [row for row in found if row["outcome"] == "failed"]


def test_rerun_takes_the_failed_rows_alone(library: Api, s3: S3Server) -> None:
    manifest = jsonl(
        {"source": f"{BUCKET}/a/1.jpg"}, {"source": f"{BUCKET}/late.jpg"}, "no", {"source": f"{BUCKET}/b/3.jpg"}
    )
    batch_id = submit(library, manifest, output={"prefix": OUT}).json["id"]
    path = f"/v1/batches/{batch_id}"
    assert problem(library.call("POST", f"{path}/rerun")) == "batch_not_finished"
    with Duties(library) as duties:
        duties.run(fail=("3.jpg",))
        assert [row["outcome"] for row in rows(library, batch_id)] == ["restored", "failed", "failed", "failed"]
        client(s3).put_object(Bucket=BUCKET, Key="late.jpg", Body=marked(photo(), "late"))
        before = rows(library, batch_id)
        assert library.call("POST", f"{path}/rerun").status_code == 202
        assert problem(library.get(f"{path}/report")) == "batch_not_finished"
        duties.run()
        after = rows(library, batch_id)
        assert [row["outcome"] for row in after] == ["restored", "restored", "failed", "restored"]
        assert after[0] == before[0]
        batch = show(library, batch_id)
        assert adds_up(batch, after)
        assert batch["failures"] == [{"code": "not_json", "count": 1}]
        assert len(fetched(library, batch_id, "report").splitlines()) == 4
        assert problem(library.call("POST", f"{path}/rerun")) == "nothing_to_rerun"


def test_pause_resume_and_a_window(library: Api) -> None:
    batch_id = submit(library, {"s3": f"{BUCKET}/"}).json["id"]
    path = f"/v1/batches/{batch_id}"
    assert problem(library.call("POST", f"{path}/pause")) == "batch_state"
    with Duties(library) as duties:
        duties.validate()
        duties.feed()
        assert queued(library) == 3
        assert show(library, batch_id)["counts"]["waiting"] == 2
        assert library.call("POST", f"{path}/pause").json["status"] == "paused"
        assert duties.work() == 3
        duties.collector.look()
        duties.feed()
        batch = show(library, batch_id)
        assert (batch["counts"]["restored"], batch["counts"]["waiting"], queued(library)) == (3, 2, 0)
        duties.finish()
        assert show(library, batch_id)["status"] == "paused"
        assert library.call("POST", f"{path}/resume").json["status"] == "running"
        assert library.call("POST", f"{path}/resume").status_code == 200
        duties.run()
    assert (
        show(library, batch_id)["counts"] | {"total": 5, "restored": 4, "duplicate": 1}
        == show(library, batch_id)["counts"]
    )
    assert problem(library.call("POST", f"{path}/cancel")) == "batch_state"


def test_cancel_ends_every_row(library: Api) -> None:
    batch_id = submit(library, {"s3": f"{BUCKET}/"}).json["id"]
    path = f"/v1/batches/{batch_id}"
    with Duties(library) as duties:
        duties.validate()
        duties.feed()
        library.finish(library.get("/v1/jobs?state=queued").json["jobs"][0]["id"])
        canceled = library.call("POST", f"{path}/cancel").json
        assert (canceled["status"], canceled["finished"]) == ("canceled", None)
        assert problem(library.call("DELETE", path)) == "batch_not_finished"
        duties.feed()
        duties.finish()
        duties.collector.look()
        duties.finish()
    batch, found = show(library, batch_id), rows(library, batch_id)
    assert batch["finished"] is not None
    assert adds_up(batch, found)
    assert Counter(row["outcome"] for row in found) == {"restored": 1, "canceled": 4}
    assert len(fetched(library, batch_id, "report").splitlines()) == 5
    assert {job["status"] for job in library.get("/v1/jobs").json["jobs"]} == {"succeeded", "canceled"}


def test_delete_takes_rows_reports_jobs_and_objects(library: Api) -> None:
    before = library.everything()
    batch_id = submit(library, {"s3": f"{BUCKET}/"}).json["id"]
    with Duties(library) as duties:
        duties.run()
        assert library.everything()[1] == 4
        assert (
            problem(library.call("DELETE", f"/v1/batches/{batch_id}", headers=library.key("two"))) == "batch_not_found"
        )
        assert library.call("DELETE", f"/v1/batches/{batch_id}").status_code == 204
        assert problem(library.get(f"/v1/batches/{batch_id}")) == "batch_not_found"
        duties.finish()
    assert library.everything() == before
    with library.database.read() as connection:
        assert batch_store.hidden(connection) == []


def test_retention_takes_a_batch_with_its_report(library: Api) -> None:
    before = library.everything()
    batch_id = submit(library, jsonl({"source": f"{BUCKET}/a/1.jpg"}), retention_hours=1e-4).json["id"]
    with Duties(library) as duties:
        duties.run()
        time.sleep(0.5)
        duties.finisher._sweep_due = 0.0
        duties.finish()
    assert problem(library.get(f"/v1/batches/{batch_id}")) == "batch_not_found"
    assert library.everything() == before


def test_two_tenants_share_and_two_batches_of_one(library: Api) -> None:
    first = [submit(library, {"s3": f"{BUCKET}/"}, name=name).json["id"] for name in ("x", "y")]
    other = library.key("two")
    second = submit(library, {"s3": f"{BUCKET}/"}, headers=other).json["id"]
    with Duties(library) as duties:
        duties.validate()
        duties.feed()
        counts = [show(library, batch_id)["counts"]["queued"] for batch_id in first]
        assert sorted(counts) == [1, 2]
        theirs = library.get(f"/v1/batches/{second}", headers=other).json
        assert theirs["counts"]["queued"] == 3
    assert problem(library.get(f"/v1/batches/{second}")) == "batch_not_found"


def test_a_quota_of_the_day_holds_rows_back(library: Api) -> None:
    key = library.key("small", quota=2)
    batch_id = submit(library, {"s3": f"{BUCKET}/"}, headers=key).json["id"]
    with Duties(library) as duties:
        duties.validate()
        duties.feed()
        counts = library.get(f"/v1/batches/{batch_id}", headers=key).json["counts"]
        assert (counts["queued"], counts["waiting"]) == (2, 3)


def test_outputs_are_never_given_twice_or_over_the_source(library: Api, s3: S3Server) -> None:
    manifest = jsonl(
        {"source": f"{BUCKET}/a/1.jpg", "output": "same.jpg"},
        {"source": f"{BUCKET}/a/2.jpg", "output": "Same.jpg"},
        {"source": f"{BUCKET}/b/3.jpg", "output": "b/3.jpg"},
        {"source": f"{BUCKET}/b/4.jpg", "output": "../4.jpg"},
    )
    source = client(s3).get_object(Bucket=BUCKET, Key="b/3.jpg")["Body"].read()
    batch_id = submit(library, manifest, output={"prefix": BUCKET}).json["id"]
    with Duties(library) as duties:
        duties.run()
        codes = [(row["error"] or {}).get("code") for row in rows(library, batch_id)]
        assert codes == [None, "output_collision", "would_overwrite_source", "bad_output"]
        assert client(s3).get_object(Bucket=BUCKET, Key="b/3.jpg")["Body"].read() == source
        over = submit(library, manifest, output={"prefix": BUCKET, "overwrite": True}).json["id"]
        duties.run()
        codes = [(row["error"] or {}).get("code") for row in rows(library, over)]
        assert codes == [None, "output_collision", None, "bad_output"]
        assert client(s3).get_object(Bucket=BUCKET, Key="b/3.jpg")["Body"].read() != source


def test_validation_goes_on_where_it_was_killed(library: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validating, "CHUNK", 10)
    monkeypatch.setattr(validating, "SLICE", 0.0)  # one chunk a look
    lines = [{"source": f"{BUCKET}/{n}.jpg"} if n % 9 else "{bad" for n in range(1, 96)]
    batch_id = submit(library, jsonl(*lines)).json["id"]
    for _ in range(4):
        with Duties(library) as duties:
            duties.validator.look()
    counts = show(library, batch_id)["counts"]
    assert (counts["total"], counts["failed"]) == (40, 4)
    with Duties(library) as duties:
        duties.validate()
    found = rows(library, batch_id)
    assert [row["line"] for row in found] == list(range(1, 96))
    assert adds_up(show(library, batch_id), found)
    assert show(library, batch_id)["status"] == "running"


def test_a_listing_goes_on_where_it_was_killed(library: Api, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validating, "CHUNK", 2)
    monkeypatch.setattr(validating, "SLICE", 0.0)
    batch_id = submit(library, {"s3": f"{BUCKET}/"}).json["id"]
    for number in range(2):
        with Duties(library) as duties:
            duties.validator.look()
        client(s3).put_object(Bucket=BUCKET, Key=f"a/0{number}.jpg", Body=b"x")  # too late, and moves no other
    with Duties(library) as duties:
        duties.validate()
    found = [row["source"].removeprefix(f"s3://{BUCKET}/") for row in rows(library, batch_id)]
    assert found == ["a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg", "b/again.jpg"]


def test_a_store_that_is_away_loses_nothing(library: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.object_store import StoreUnavailable  # noqa: PLC0415
    from worker.batches import feeder  # noqa: PLC0415

    monkeypatch.setattr(feeder, "OUTAGE", 0.2)
    batch_id = submit(library, jsonl({"source": f"{BUCKET}/a/1.jpg"}), output={"prefix": OUT}).json["id"]
    with Duties(library) as duties:
        duties.validate()
        dead = Buckets(library.settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:1"}))
        alive = (duties.feeder._buckets, duties.collector._buckets)
        duties.feeder._buckets = duties.collector._buckets = dead
        with pytest.raises(StoreUnavailable):
            dead.output(OUT)[0].check()
        duties.feed()
        assert show(library, batch_id)["counts"]["waiting"] == 1
        duties.feeder._buckets = alive[0]
        time.sleep(0.3)
        duties.feed()
        duties.work()
        duties.collector.look()
        assert show(library, batch_id)["counts"]["queued"] == 1
        duties.collector._buckets = alive[1]
        duties.run()
    assert show(library, batch_id)["counts"]["restored"] == 1


def test_manifests_that_cannot_be_read_fail_the_batch(library: Api, s3: S3Server) -> None:
    client(s3).put_object(Bucket=BUCKET, Key="rows.csv", Body=b"photo;other\n1;2\n")
    wanted: list[tuple[dict[str, str], dict[str, str], str]] = [
        ({"s3": f"s3://{BUCKET}/rows.csv"}, {}, "bad_header"),
        ({"s3": f"{BUCKET}/missing.jsonl"}, {}, "manifest_not_found"),
        ({"s3": f"{BUCKET}/empty/"}, {}, "no_rows"),
        ({"inline": "\n\n"}, {"format": "jsonl"}, "no_rows"),
    ]
    for manifest, more, code in wanted:
        batch_id = submit(library, manifest, **more).json["id"]
        with Duties(library) as duties:
            duties.validate()
            duties.finish()
        batch = show(library, batch_id)
        assert (batch["status"], batch["error"]["code"]) == ("failed", code)
        assert batch["finished"] is not None
        assert problem(library.get(f"/v1/batches/{batch_id}/report")) == "no_report"


def test_an_uploaded_csv(library: Api) -> None:
    table = f'source,strength,metadata\n{BUCKET}/a/1.jpg,0.7,\n{BUCKET}/a/2.jpg,,"{{""n"": 2}}"\nx,y\n'
    announced = library.call("POST", "/v1/uploads", json={"content_type": "text/csv"}).json
    assert announced["limit"] == 1 << 30
    missing = submit(library, {"upload": announced["id"]})
    assert problem(missing) == "upload_not_received"
    sent = library.client.put(announced["url"], data=table.encode(), headers=announced["headers"])
    assert sent.status_code == 204
    batch_id = submit(library, {"upload": announced["id"]}).json["id"]
    with Duties(library) as duties:
        duties.run()
    found = rows(library, batch_id)
    assert [row["outcome"] for row in found] == ["restored", "restored", "failed"]
    assert [row["line"] for row in found] == [2, 3, 4]
    assert found[1]["metadata"] == {"n": 2}


def test_a_manifest_that_turns_out_too_long_ends_its_rows(library: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validating, "CHUNK", 2)
    monkeypatch.setattr(validating, "MAX_ROWS", 3)
    batch_id = submit(library, jsonl(*[{"source": f"{BUCKET}/{n}.jpg"} for n in range(9)])).json["id"]
    with Duties(library) as duties:
        duties.run()
    batch, found = show(library, batch_id), rows(library, batch_id)
    assert (batch["status"], batch["error"]["code"]) == ("failed", "too_many_rows")
    assert {row["outcome"] for row in found} == {"canceled"}
    assert adds_up(batch, found)
    assert len(fetched(library, batch_id, "report").splitlines()) == 4


def batch_row(api: Api, batch_id: str) -> Batch:
    with api.database.read() as connection:
        found = batch_store.get(connection, batch_id)
    assert found is not None
    return found


def test_states_are_compared_and_set(library: Api) -> None:
    batch_id = submit(library, jsonl({"source": f"{BUCKET}/a/1.jpg"})).json["id"]
    now = time.time()
    with library.database.begin() as connection:
        for change in (batch_store.pause, batch_store.resume, batch_store.complete, batch_store.rerun):
            assert not change(connection, batch_id, now)
        assert batch_store.run(connection, batch_id, now)
        assert not batch_store.run(connection, batch_id, now)
        assert not batch_store.rerun(connection, batch_id, now)
    assert batch_row(library, batch_id).status is BatchStatus.RUNNING
