"""`regain backfill s3://…`: a batch of the service, left alone by Ctrl-C, found again, told about at its end."""

import csv
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3.session
import pytest

from shared.ultrahdr import parse
from tests.golden.recipe import Recipe, build, photo
from tests.services.command import Command
from tests.services.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, nanio_server
from tests.services.stack import Stack, marked, wait_for

NEW = 8
SLOW = {2, 5}


@dataclass
class Cloud:
    """A service, the command, and a bucket that both know; the worker is started when a test wants it."""

    stack: Stack
    command: Command
    s3: Any
    folder: Path

    def put(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=data)

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
        return sorted(each["Key"] for each in found)

    def batches(self) -> list[dict[str, Any]]:
        ended = self.command.finish("batches", "list", "--json")
        assert ended.returncode == 0, ended.stderr
        found: list[dict[str, Any]] = json.loads(ended.stdout)
        return found

    def said(self) -> str:
        return self.command.said.read_text()

    def report(self) -> list[dict[str, Any]]:
        """The report in the folder, after both of its forms were found to agree."""
        rows = [json.loads(line) for line in (self.folder / "backfill-report.jsonl").read_text().splitlines()]
        with (self.folder / "backfill-summary.csv").open(newline="") as stream:
            table = list(csv.DictReader(stream))
        assert [(row["source"], row["outcome"]) for row in rows] == [(row["source"], row["outcome"]) for row in table]
        return rows


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    for name in ("s3", "stack", "here"):
        (tmp_path / name).mkdir()
    with nanio_server(tmp_path / "s3") as server:
        environment = {
            "REGAIN_S3_ENDPOINT": server.endpoint,
            "REGAIN_S3_ACCESS_KEY": ACCESS_KEY,
            "REGAIN_S3_SECRET_KEY": SECRET_KEY,
            "REGAIN_SOURCE_BUCKETS": f'["{BUCKET}"]',
            "REGAIN_OUTPUT_BUCKETS": f'["{BUCKET}"]',
        }
        session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
        s3 = session.client("s3", endpoint_url=server.endpoint)
        with Stack(tmp_path / "stack", environment) as stack:
            stack.start_control()
            command = Command(stack.start_api(), stack.api_key(), tmp_path / "here")
            yield Cloud(stack, command, s3, tmp_path / "here")


@pytest.fixture
def photos(cloud: Cloud) -> None:
    """New ones, one that is HDR, a copy of the first, one that is broken."""
    for number in range(NEW):
        cloud.put(f"in/{number}.jpg", marked(photo(), f"{'slow' if number in SLOW else 'photo'} {number}"))
    cloud.put("in/hdr.jpg", build(Recipe()))
    cloud.put("in/z.jpg", marked(photo(), "photo 0"))
    cloud.put("in/broken.jpg", photo()[:500])


@pytest.mark.usefixtures("photos")
def test_a_prefix_left_alone_and_found_again(cloud: Cloud) -> None:
    arguments = ("backfill", f"s3://{BUCKET}/in", "-o", f"s3://{BUCKET}/out/", "--template", "{stem}-x.jpg")
    dry = cloud.command.finish(*arguments, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert f"would submit s3://{BUCKET}/in/" in dry.stdout
    assert f"s3://{BUCKET}/out/{{stem}}-x.jpg" in dry.stdout
    assert cloud.batches() == []

    process = cloud.command.start(*arguments)
    wait_for(lambda: "was accepted" in cloud.said(), 30)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == 130
    (batch,) = cloud.batches()
    assert f"batch {batch['id']} goes on at the service; the same command watches it again" in cloud.said()
    assert "Traceback" not in cloud.said()
    again = cloud.command.finish(*arguments, "--dry-run")
    assert f"would watch batch {batch['id']}" in again.stdout

    cloud.stack.start_worker()
    ended = cloud.command.finish(*arguments)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert f"batch {batch['id']} is under way already" in ended.stdout
    assert Counter(row["outcome"] for row in cloud.report()) == {
        "restored": NEW,
        "unchanged": 1,
        "duplicate": 1,
        "failed": 1,
    }
    assert "11 of 11 rows: restored 8 · unchanged 1 · duplicate 1 · failed 1" in ended.stdout
    assert cloud.keys("out/") == [f"out/{number}-x.jpg" for number in range(NEW)]
    restored = cloud.s3.get_object(Bucket=BUCKET, Key="out/3-x.jpg")["Body"].read()
    assert parse(restored).is_hdr
    assert len(cloud.batches()) == 1

    # Mended and once more: a batch of its own, which leaves alone what is there.
    cloud.put("in/broken.jpg", marked(photo(), "mended"))
    ended = cloud.command.finish(*arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    became = {row["source"].rpartition("/")[2]: row["outcome"] for row in cloud.report()}
    assert became["broken.jpg"] == "restored"
    assert {became[f"{number}.jpg"] for number in range(NEW)} == {"skipped_done"}
    assert len(cloud.batches()) == 2


@pytest.mark.usefixtures("photos")
@pytest.mark.long
def test_a_manifest_of_this_machine_whose_photos_lie_in_a_bucket(cloud: Cloud) -> None:
    cloud.stack.start_worker()
    manifest = cloud.folder / "rows.csv"
    rows = [f"s3://{BUCKET}/in/{number}.jpg,0.5\n" for number in (1, 3)]
    manifest.write_text("source,strength\n" + "".join(rows) + f"s3://{BUCKET}/in/none.jpg,\nhttps://x.invalid/,9\n")
    ended = cloud.command.finish("backfill", "rows.csv", "-o", "reports", "--max-headroom", "2")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "results stay with their jobs" in ended.stdout
    cloud.folder /= "reports"
    report = {row["line"]: row for row in cloud.report()}
    assert {line: row["error_code"] or row["outcome"] for line, row in report.items()} == {
        2: "restored",
        3: "restored",
        4: "source_not_found",
        5: "bad_strength",
    }
    (batch,) = cloud.batches()
    assert batch["options"] == {"max_headroom": 2.0}
    ended = cloud.command.finish("result", report[3]["job"], "-o", "3.jpg")
    assert ended.returncode == 0, ended.stderr

    shown = cloud.command.finish("batches", "show", batch["id"])
    assert "4 of 4 rows: restored 2 · failed 2" in shown.stdout
    assert "1 x source_not_found" in shown.stdout
    cloud.put("in/none.jpg", marked(photo(), "here now"))
    assert cloud.command.finish("batches", "rerun", batch["id"]).returncode == 0
    ended = cloud.command.finish("batches", "watch", batch["id"], "-o", "reports")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert Counter(row["outcome"] for row in cloud.report()) == {"restored": 3, "failed": 1}


@pytest.mark.long
def test_a_long_manifest_is_uploaded(cloud: Cloud) -> None:
    cloud.put("in/one.jpg", photo())
    cloud.stack.start_worker()
    line = json.dumps({"source": f"s3://{BUCKET}/in/one.jpg", "metadata": {"words": "x" * 500}}) + "\n"
    (cloud.folder / "long.jsonl").write_text(line * 200)
    ended = cloud.command.finish("backfill", "long.jsonl")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert Counter(row["outcome"] for row in cloud.report()) == {"restored": 1, "duplicate": 199}


@pytest.mark.usefixtures("photos")
@pytest.mark.long
def test_paused_resumed_and_called_off(cloud: Cloud) -> None:
    process = cloud.command.start("backfill", f"s3://{BUCKET}/in/")
    wait_for(lambda: [batch["status"] for batch in cloud.batches()] == ["running"], 30)
    (batch,) = cloud.batches()
    for change, status in (("pause", "paused"), ("resume", "running")):
        ended = cloud.command.finish("batches", change, batch["id"])
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith(f"{status} {batch['id']}")
    assert process.poll() is None
    assert cloud.command.finish("batches", "cancel", batch["id"], "--json").returncode == 0
    assert process.wait(120) == 1
    assert Counter(row["outcome"] for row in cloud.report())["canceled"] > 0
    late = cloud.command.finish("batches", "pause", batch["id"])
    assert late.returncode == 1
    assert "canceled" in late.stderr
    table = cloud.command.finish("batches", "list", "--status", "canceled").stdout
    assert batch["id"] in table


def test_a_command_that_cannot_begin(cloud: Cloud) -> None:
    (cloud.folder / "mixed.jsonl").write_text('{"source": "s3://b/a.jpg"}\n{"source": "a.jpg"}\n')
    (cloud.folder / "web.csv").write_text("source\nhttps://example.com/a.jpg\n")
    (cloud.folder / "photos").mkdir()
    there = f"s3://{BUCKET}/in/"
    for arguments, code, said in (
        ((there, "--local"), 2, "leave --local out"),
        ((there, "--originals", "s3://b/originals"), 2, "in a manifest's field `original`"),
        ((there, "--include", "*.jpg"), 2, "give a manifest instead"),
        ((there, "--overwrite"), 2, "give -o s3://bucket/prefix"),
        (("s3://",), 2, "names no bucket"),
        (("mixed.jsonl",), 2, "line 1 names a photo on the net, line 2 a file of this machine"),
        (("web.csv", "--local"), 2, "leave --local out"),
        (("photos", "-o", "s3://b/out"), 2, "go to a folder of it"),
        (("s3://other/in/",), 1, "other"),
        ((there, "--model", "none"), 1, "no model named 'none'"),
    ):
        ended = cloud.command.finish("backfill", *arguments)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (code, 1), ended.stderr
        assert said in ended.stderr
    cloud.command.environment["REGAIN_API_KEY"] = "rgn_wrong"
    ended = cloud.command.finish("backfill", there)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert sorted(path.name for path in cloud.folder.iterdir()) == ["mixed.jsonl", "photos", "web.csv"]
