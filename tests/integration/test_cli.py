"""The `regain` command as people run it: another process, files, exit codes and words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from shared.ultrahdr import parse
from tests.golden.mutations import matrix
from tests.golden.recipe import gain_map_image, photo


def regain(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command; no traceback may ever reach a person."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "worker.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd or Path(__file__).parents[2],
        env={**os.environ, "PYTHONDEVMODE": "0", "COLUMNS": "200"},
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A flat JPEG on disk."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo())
    return path


def test_restore_writes_beside_the_input(flat: Path) -> None:
    done = regain("restore", flat)
    assert done.returncode == 0, done.stderr
    assert parse((flat.parent / "photo_hdr.jpg").read_bytes()).is_hdr
    assert flat.read_bytes() == photo()
    assert {p.name for p in flat.parent.iterdir()} <= {"photo.jpg", "photo_hdr.jpg", "models"}


def test_restore_many_into_a_folder_and_go_on_after_a_bad_one(flat: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photo()[:500])
    second = tmp_path / "second.jpg"
    second.write_bytes(photo())
    done = regain("restore", flat, bad, second, "-o", tmp_path / "out", "--json")
    assert done.returncode == 1
    reports = json.loads(done.stdout)
    assert [report["outcome"] for report in reports] == ["restored", "failed", "restored"]
    assert reports[1]["error"]["code"] == "truncated"
    assert str(bad) in reports[1]["error"]["message"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["photo_hdr.jpg", "second_hdr.jpg"]
    assert reports[0]["metadata"]["gain_map_max"] > 0
    assert reports[0]["timings"].keys() >= {"decode", "predict", "encode", "assemble", "verify"}


def test_restore_keeps_what_is_hdr(tmp_path: Path) -> None:
    path = tmp_path / "hdr.jpg"
    path.write_bytes(matrix()["00_good"])
    done = regain("restore", path)
    assert done.returncode == 0
    assert "unchanged" in done.stdout
    assert not (tmp_path / "hdr_hdr.jpg").exists()
    assert regain("restore", path, "--replace").returncode == 0
    assert (tmp_path / "hdr_hdr.jpg").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--strength", "9"], 2, "strength 9 is out of range"),
        (["--max-headroom", "0"], 2, "max headroom 0 is out of range"),
        (["--model", "nonsense"], 1, "no model named 'nonsense'"),
        (["-o", "{photo}"], 1, "never written over"),
        (["--sharpness", "2"], 2, "No such option"),
    ],
)
def test_restore_says_what_is_wrong(arguments: list[str], code: int, words: str, flat: Path) -> None:
    done = regain("restore", flat, *(argument.format(photo=flat) for argument in arguments))
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert flat.read_bytes() == photo()
    assert not (flat.parent / "photo_hdr.jpg").exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a photo that can be read"),
        (photo()[:-30], "cut off"),
        (gain_map_image("CMYK", (40, 27)), "CMYK"),
    ],
)
def test_bad_photos_get_one_clear_sentence(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    done = regain("restore", path)
    assert done.returncode == 1
    assert words in done.stderr
    assert str(path) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "bad_hdr.jpg").exists()


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert "no such file" in regain("restore", tmp_path / "none.jpg").stderr
    assert "is a folder" in regain("restore", tmp_path).stderr


def test_nothing_is_half_written(flat: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/regain/out.jpg")  # not even root can write there
    else:
        locked = flat.parent / "locked"
        locked.mkdir(mode=0o500)
        target = locked / "out.jpg"
    done = regain("restore", flat, "-o", target)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert not target.exists()


def test_audit_exit_code_and_json(flat: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(matrix()["01_mpf_offset_abs_from_SOI"])
    assert regain("audit", flat).returncode == 0
    done = regain("audit", flat, broken, "--json")
    assert done.returncode == 1
    reports = json.loads(done.stdout)
    assert [report["ok"] for report in reports] == [True, False]
    assert reports[1]["file"] == str(broken)
    finding = reports[1]["findings"][0]
    assert finding.keys() == {"code", "severity", "readers", "offset", "message", "mend"}
    assert (finding["code"], finding["severity"]) == ("mpf_offset", "error")
    assert "Chromium" in finding["readers"]


def test_audit_of_what_is_no_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("words")
    done = regain("audit", path, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)[0]["findings"][0]["code"] == "not_a_jpeg"


def test_compare_tells_kept_from_stripped_and_changed(tmp_path: Path) -> None:
    before, stripped, other = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "c.jpg"
    before.write_bytes(matrix()["00_good"])
    stripped.write_bytes(parse(matrix()["00_good"]).primary)
    other.write_bytes(matrix()["15_iso_max4_xmp_max2"])
    assert regain("compare", before, before).returncode == 0
    lost = regain("compare", before, stripped, "--json")
    assert (lost.returncode, json.loads(lost.stdout)["verdict"]) == (1, "stripped")
    changed = json.loads(regain("compare", before, other, "--json").stdout)
    assert changed["verdict"] == "changed"
    assert any("gain_map_max" in line for line in changed["changed"])
    assert "has no gain map" in regain("compare", stripped, before).stderr


def test_extract_and_preview(tmp_path: Path) -> None:
    path = tmp_path / "hdr.jpg"
    path.write_bytes(matrix()["00_good"])
    assert regain("extract", path, "-o", tmp_path / "parts").returncode == 0
    file = parse(matrix()["00_good"])
    assert (tmp_path / "parts" / "hdr_base.jpg").read_bytes() == file.primary
    assert (tmp_path / "parts" / "hdr_gainmap.jpg").read_bytes() == file.gain_map
    metadata = json.loads((tmp_path / "parts" / "hdr_metadata.json").read_text())
    assert (metadata["source"], metadata["gain_map_max"]) == ("iso", 2.0)
    assert regain("preview", path, "-o", tmp_path / "p.png", "--stops", "2").returncode == 0
    with Image.open(tmp_path / "p.png") as image:
        left = image.crop((0, 0, 160, 108)).convert("L")
        right = image.crop((image.width - 160, 0, image.width, 108)).convert("L")
        assert left.getpixel((110, 40)) < right.getpixel((110, 40))  # type: ignore[operator]


def test_preview_and_extract_of_a_flat_photo(flat: Path) -> None:
    assert "no gain map" in regain("preview", flat, "-o", flat.parent / "p.png").stderr
    assert "no gain map" in regain("extract", flat, "-o", flat.parent / "parts").stderr


def test_model_list_info_and_use(tmp_path: Path) -> None:
    listed = {row["name"]: row["state"] for row in json.loads(regain("model", "list", "--json").stdout)}
    assert listed["gmnet-realworld"] == "installable"
    assert list(listed.values()).count("in use") == 1
    assert regain("model", "use", "gmnet").returncode == 0
    assert json.loads(regain("model", "info").stdout)["name"] == "gmnet"
    assert "no model named" in regain("model", "use", "none").stderr
