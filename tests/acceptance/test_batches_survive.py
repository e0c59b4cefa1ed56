"""A batch over real processes that are really killed: every row has exactly one outcome, and the report adds up."""

from collections import Counter
from pathlib import Path

import boto3.session
import pytest

from shared.client import Client
from shared.errors import ClientError
from shared.signing import new_secret
from tests.golden.recipe import Recipe, build, photo
from tests.services.killing import PARTS, SETTINGS, Service
from tests.services.photos import photo_server
from tests.services.receiver import receiver
from tests.services.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, nanio_server
from tests.services.stack import Stack, marked, wait_for

ROWS = 300
HDR, TWINS, MISSING = 5, 5, 10  # of them


def test_a_batch_killed_part_by_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s3").mkdir()
    with nanio_server(tmp_path / "s3") as s3:
        session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
        client = session.client("s3", endpoint_url=s3.endpoint)
        lines = []
        for number in range(ROWS):
            name = f"{number:04d}.jpg"
            body = marked(photo(), f"photo {number}")
            if number < HDR:
                body = marked(build(Recipe()), f"photo {number}")
            elif number < HDR + TWINS:
                body = marked(photo(), f"photo {number + TWINS}")
            if number < ROWS - MISSING:
                client.put_object(Bucket=BUCKET, Key=f"in/{name}", Body=body)
            lines.append(f'{{"source": "s3://{BUCKET}/in/{name}"}}\n')
        client.put_object(Bucket=BUCKET, Key="rows.jsonl", Body="".join(lines).encode())
        environment = SETTINGS | {
            "REGAIN_S3_ENDPOINT": s3.endpoint,
            "REGAIN_S3_ACCESS_KEY": ACCESS_KEY,
            "REGAIN_S3_SECRET_KEY": SECRET_KEY,
            "REGAIN_SOURCE_BUCKETS": f'["{BUCKET}"]',
            "REGAIN_OUTPUT_BUCKETS": f'["{BUCKET}"]',
        }
        (tmp_path / "stack").mkdir()
        with Stack(tmp_path / "stack", environment) as stack:
            service = Service(stack)
            service.start("api", "worker", "control")
            batch_id = service.submit(
                {"manifest": {"s3": f"{BUCKET}/rows.jsonl"}, "output": {"prefix": f"{BUCKET}/out"}, "name": "all"}
            )
            for turn, part in enumerate(PARTS, 1):
                service.wait_done(batch_id, ROWS * turn // (len(PARTS) + 1), 300)
                service.kill_and_start(part)
            service.wait_done(batch_id, ROWS + 1, 400)
            batch, report = service.batch(batch_id), service.report(batch_id)
            jobs = service.call("GET", "/v1/jobs?limit=1").json()["jobs"]
        found = {key["Key"] for key in client.list_objects_v2(Bucket=BUCKET, Prefix="out/").get("Contents", ())}
    with capsys.disabled():
        print(f"\n    peak memory, MB: {service.peaks}")
    assert [line["line"] for line in report] == list(range(1, ROWS + 1))
    outcomes = Counter(line["outcome"] for line in report)
    assert outcomes == {
        "restored": ROWS - HDR - TWINS - MISSING,
        "unchanged": HDR,
        "duplicate": TWINS,
        "failed": MISSING,
    }
    assert {line["error_code"] for line in report} == {None, "source_not_found"}
    assert (batch.status, batch.total, batch.waiting, batch.queued) == ("completed", ROWS, 0, 0)
    assert outcomes == {"restored": batch.restored, "unchanged": batch.unchanged} | {
        "duplicate": batch.duplicate,
        "failed": batch.failed,
    }
    assert found == {line["output"].partition("/")[2] for line in report if line["outcome"] == "restored"}
    assert jobs[0]["batch"] == batch_id


@pytest.mark.long
def test_the_client_hands_in_a_manifest_and_is_told_of_its_end(tmp_path: Path) -> None:
    manifest = tmp_path / "rows.csv"
    (tmp_path / "stack").mkdir()
    with photo_server() as photos, receiver() as told, Stack(tmp_path / "stack", SETTINGS) as stack:
        manifest.write_text("source,strength\n" + "".join(f"{photos}/{n}.jpg,0.{n}\n" for n in range(1, 6)) + "x\n")
        service = Service(stack)
        service.start("api", "worker", "control")
        stack.start("worker", "--queues", "webhooks", environment={"REGAIN_PUBLIC_URL": service.url})
        with Client(service.url, stack.api_key()) as client:
            wanted = {"url": told.url, "secret": new_secret()}
            told.secret = wanted["secret"]
            batch = client.submit_batch({"upload": client.upload_manifest(manifest)}, webhook=wanted, name="five")
            service.wait_done(batch.id, 7, 120)
            batch = client.batch(batch.id)
            assert batch.has_ended
            assert {name: number for name, number in batch.counts.items() if number} == {
                "total": 6,
                "restored": 5,
                "failed": 1,
            }
            assert [row["line"] for row in client.batch_rows(batch.id)] == [2, 3, 4, 5, 6, 7]
            assert [row["error"]["code"] for row in client.batch_rows(batch.id, "failed")] == ["wrong_columns"]
            assert [found.id for found in client.batches().batches] == [batch.id]
            client.download_batch_report(batch.id, tmp_path / "summary.csv", "summary")
            assert len((tmp_path / "summary.csv").read_text().splitlines()) == 7
            with pytest.raises(ClientError, match="no row failed that could be run again"):
                client.rerun_batch(batch.id)
            wait_for(lambda: told.taken, 30)
            assert [payload["type"] for _, payload in told.taken] == ["batch.completed"]
            assert told.taken[0][1]["data"]["links"]["self"] == f"{service.url}/v1/batches/{batch.id}"
            client.delete_batch(batch.id)
            with pytest.raises(ClientError, match="there is no batch"):
                client.batch(batch.id)
            wait_for(lambda: not stack.all_jobs(), 30)
