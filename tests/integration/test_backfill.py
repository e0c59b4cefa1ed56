"""`regain backfill --local`, killed and resumed: each row has exactly one outcome, and the report adds up."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.ultrahdr import GainMapMetadata, parse
from tests.golden.recipe import Recipe, build, photo
from tests.services.stack import ROOT, kill_group, marked
from tests.unit.guided.test_guided import hdr, jpeg, scene
from worker.cli.main import app

COMMAND = [sys.executable, "-m", "worker.cli.main", "backfill"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("REGAIN_")} | {
    "PYTHONPATH": str(ROOT),
    "REGAIN_THREADS": "1",
}
NEW = 40


def library(folder: Path, new: int = NEW) -> Path:
    """Photos: new ones, one that is HDR, two copies of the first, one that is none."""
    photos = folder / "library"
    (photos / "sub").mkdir(parents=True)
    for number in range(new):
        name = f"sub/{number:03d}.jpg" if number % 2 else f"{number:03d}.jpg"
        (photos / name).write_bytes(marked(photo(), f"photo {number}"))
    (photos / "hdr.jpg").write_bytes(build(Recipe()))
    for name in ("z1.jpg", "z2.jpg"):
        (photos / name).write_bytes(marked(photo(), "photo 0"))
    (photos / "broken.jpg").write_bytes(photo()[:500])
    return photos


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=ENVIRONMENT,
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=False
    )


def outcomes(folder: Path) -> Counter[str]:
    """Counted by the report, after both forms were found to agree and no row to stand there twice."""
    rows = [json.loads(line) for line in (folder / "backfill-report.jsonl").read_text().splitlines()]
    with (folder / "backfill-summary.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [(row["source"], row["outcome"]) for row in rows] == [(row["source"], row["outcome"]) for row in table]
    assert len({row["line"] for row in rows}) == len(rows)
    for row in rows:
        if row["outcome"] == "restored":
            assert parse((folder / row["output"]).read_bytes()).is_hdr
    return Counter(row["outcome"] for row in rows)


EXPECTED = {"restored": NEW, "unchanged": 1, "duplicate": 2, "failed": 1}


@pytest.mark.parametrize("whole_group", [True, False], ids=["all", "parent"])
def test_killed_and_resumed(tmp_path: Path, whole_group: bool) -> None:
    photos, output = library(tmp_path), tmp_path / "out"
    arguments = (photos, "--local", "-o", output, "--jobs", "2")
    chance = random.Random(1)
    killed = 0
    for wanted in (3, 12, 24):
        process = start(*arguments)
        while process.poll() is None and len(list(output.rglob("*_hdr.jpg"))) < wanted:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.05))
        killed += process.poll() is None
        if whole_group:
            kill_group(process)
        else:
            process.kill()
        process.wait()
    assert killed >= 2
    ended = finish(*arguments)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert outcomes(output) == EXPECTED
    assert len(list(output.rglob("*.jpg"))) == NEW
    assert not [path for path in output.rglob(".*") if path.name != ".regain-backfill.jsonl"]
    # Once more: nothing but the failed row is done again, and that with the same outcome.
    size = (output / ".regain-backfill.jsonl").stat().st_size
    assert finish(*arguments).returncode == 1
    assert outcomes(output) == EXPECTED
    assert (output / ".regain-backfill.jsonl").stat().st_size - size < 1000


def test_a_process_of_the_pool_is_killed(tmp_path: Path) -> None:
    photos, output = library(tmp_path), tmp_path / "out"
    process = start(photos, "--local", "-o", output, "--jobs", "2")
    while len(list(output.rglob("*_hdr.jpg"))) < 3:
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pool = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(pool[0], signal.SIGKILL)
    assert process.wait(60) == 1
    assert outcomes(output) == EXPECTED


def test_interrupted(tmp_path: Path) -> None:
    photos, output = library(tmp_path), tmp_path / "out"
    process = start(photos, "--local", "-o", output, "--jobs", "1", "--exclude", "broken.jpg")
    while len(list(output.rglob("*_hdr.jpg"))) < 3:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == 130
    assert 3 <= outcomes(output)["restored"] < NEW
    assert finish(photos, "--local", "-o", output, "--exclude", "broken.jpg").returncode == 0
    assert outcomes(output) == {name: number for name, number in EXPECTED.items() if name != "failed"}


def test_dry_run_writes_nothing_and_a_manifest_fails_row_by_row(tmp_path: Path) -> None:
    photos, output = library(tmp_path, new=2), tmp_path / "out"
    manifest = photos / "rows.csv"
    manifest.write_text(
        "source,output,strength\n000.jpg,a.jpg,\nsub/001.jpg,A.jpg,\nsub/001.jpg,,9\nnone.jpg,,\nhdr.jpg,,\n"
        "sub/001.jpg,b.jpg,0.5\n"
    )
    said = finish(manifest, "--local", "--dry-run", "-o", output)
    assert said.returncode == 0
    assert "would restore 2" in said.stdout
    assert "unchanged 1" in said.stdout
    assert "may take" in said.stdout
    assert not output.exists()
    assert finish(manifest, "--local", "-o", output).returncode == 1
    rows = {row["line"]: row for row in map(json.loads, (output / "backfill-report.jsonl").read_text().splitlines())}
    assert {line: row["error_code"] or row["outcome"] for line, row in rows.items()} == {
        2: "restored",
        3: "output_collision",
        4: "bad_strength",
        5: "file",
        6: "unchanged",
        7: "restored",
    }


def test_an_output_that_is_there_is_kept_and_a_source_never_written_over(tmp_path: Path) -> None:
    photos = tmp_path / "library"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(photo())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_hdr.jpg").write_bytes(b"mine")
    assert finish(photos, "--local", "-o", tmp_path / "out").returncode == 0
    assert outcomes(tmp_path / "out") == {"skipped_done": 1}
    assert (tmp_path / "out" / "a_hdr.jpg").read_bytes() == b"mine"
    over = finish(photos, "--local", "-o", photos, "--template", "{dir}/{name}")
    assert over.returncode == 1
    assert (photos / "a.jpg").read_bytes() == photo()


def test_an_original_that_was_found_by_name_but_is_none_is_recorded_and_stops_nothing(tmp_path: Path) -> None:
    photos, originals, output = library(tmp_path, new=2), tmp_path / "originals", tmp_path / "out"
    originals.mkdir()
    (originals / "000.heic").write_bytes(b"not read")
    ended = finish(photos, "--local", "-o", output, "--originals", originals, "--include", "00*.jpg")
    assert "1 of 2 edits found their original" in ended.stdout
    rows = [json.loads(line) for line in (output / "backfill-report.jsonl").read_text().splitlines()]
    assert [row["original"] for row in rows] == [str(originals / "000.heic"), None]
    assert [(row["outcome"], row["confidence"]) for row in rows] == [("restored", 0.0), ("restored", None)]


def test_an_original_gives_its_map_back(tmp_path: Path) -> None:
    photos, originals, output = tmp_path / "photos", tmp_path / "originals", tmp_path / "out"
    photos.mkdir()
    originals.mkdir()
    picture, gain = scene(11)
    (photos / "IMG_1-edited.jpg").write_bytes(jpeg(picture))
    (originals / "IMG_1.jpg").write_bytes(hdr(picture, gain))
    ended = finish(photos, "--local", "-o", output, "--originals", originals)
    assert ended.returncode == 0, ended.stderr
    (row,) = [json.loads(line) for line in (output / "backfill-report.jsonl").read_text().splitlines()]
    assert row["confidence"] > 0.9
    metadata = parse((output / "IMG_1-edited_hdr.jpg").read_bytes()).metadata
    assert isinstance(metadata, GainMapMetadata)
    assert float(metadata.alternate_hdr_headroom) == 3.5  # the original's own


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none", "--local"), "no such folder or manifest"),
        ((".", "--local", "--strength", "9"), "out of range"),
        ((".", "--local", "--template", "x"), "template"),
        (("pyproject.toml", "--local"), "rename it"),
        ((".", "--local", "--jobs", "0"), "--jobs"),
        ((".", "--local", "--originals", "none"), "no such folder"),
    ],
)
def test_a_command_that_cannot_begin(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    ended = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["backfill", *arguments, "-o", "out"])
    assert ended.exit_code == 2
    assert said in ended.output
    assert not (tmp_path / "out").exists()
