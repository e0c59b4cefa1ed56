"""Backfill at its promised size: a manifest of a million rows, 10,000 rows killed five times, real photos.

`python -m tests.load.backfill --rows 1000000 --killed 10000 --photos FOLDER --count 300`; each part can be left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.backfill.manifest import Form, read_manifest
from shared.backfill.outputs import TEMPLATE, Collisions, output_of
from shared.backfill.rows import Row
from tests.golden.recipe import photo
from tests.services.stack import ROOT, kill_group, marked

KILLS: Final = 5
STUB: Final = "tests.load.backfill_stub"
PRODUCT: Final = "worker.cli.main"


class Flat:
    """A stub predictor: everything is one stop brighter."""

    name = "stub"

    def input_size(self, _width: int, _height: int) -> tuple[int, int]:
        """As small as can be."""
        return (8, 8)

    def predict(
        self, _image: NDArray[np.uint8], map_size: tuple[int, int], _seen: tuple[int, int] | None = None
    ) -> NDArray[np.float32]:
        """(h, w) float32, stops."""
        return np.ones(map_size[::-1], np.float32)


def read_many(rows: int, folder: Path) -> dict[str, Any]:
    """Read a manifest and give every row its output; memory beyond what the process had."""
    path = folder / "rows.jsonl"
    with path.open("w") as stream:
        for number in range(rows):
            bad = number % 1000 == 999
            stream.write(
                "{bad\n"
                if bad
                else json.dumps({"source": f"s3://b/{number % 97}/{number}.jpg", "metadata": {"n": number}}) + "\n"
            )
    found: Counter[bool] = Counter()
    before, begun = _peak_self(), time.perf_counter()
    taken = Collisions()
    with path.open("rb") as opened:
        for row in read_manifest(opened, Form.JSONL):
            good = isinstance(row, Row)
            found[good] += 1
            if isinstance(row, Row):
                assert not taken.is_taken(output_of(row, TEMPLATE))
    assert (found[True], found[False]) == (rows - rows // 1000, rows // 1000)
    return {
        "rows": rows,
        "bad": found[False],
        "seconds": round(time.perf_counter() - begun, 1),
        "memory_before_mb": before,
        "memory_peak_mb": _peak_self(),
    }


def kill_many(rows: int, folder: Path) -> dict[str, Any]:
    """Generated photos and a stub predictor; the whole group is killed at five places and the run resumed."""
    library, output = folder / "library", folder / "out"
    library.mkdir()
    for number in range(rows):
        (library / f"{number:06d}.jpg").write_bytes(marked(photo(), f"photo {number}"))
    command = _command(STUB, library, output)
    begun, peaks = time.perf_counter(), []
    for kill in range(1, KILLS + 1):
        process = _start(command)
        peak = _Peak(process.pid)
        while process.poll() is None and _done(output) < rows * kill // (KILLS + 1):
            time.sleep(0.2)
        assert process.poll() is None, f"ended before kill {kill}"
        kill_group(process)
        peaks.append(peak.stop())
    process = _start(command)
    peak = _Peak(process.pid)
    assert process.wait() == 0
    peaks.append(peak.stop())
    lines = [json.loads(line) for line in (output / "backfill-report.jsonl").read_text().splitlines()]
    assert len({line["source"] for line in lines}) == len(lines) == rows
    assert Counter(line["outcome"] for line in lines) == {"restored": rows}
    assert sum(1 for _ in output.glob("*.jpg")) == rows
    return {
        "rows": rows,
        "kills": KILLS,
        "seconds": round(time.perf_counter() - begun, 1),
        "memory_peak_mb": {"parent": max(each[0] for each in peaks), "process": max(each[1] for each in peaks)},
    }


def restore_real(photos: Path, pattern: str, count: int, folder: Path) -> dict[str, Any]:
    """Real photos end to end with the default model; wall clock and processor time."""
    files = sorted(photos.resolve().rglob(pattern))[:count]
    manifest = folder / "real.jsonl"
    manifest.write_text(
        "".join(
            json.dumps({"source": str(path), "output": f"{number}.jpg", "options": {"replace": True}}) + "\n"
            for number, path in enumerate(files)
        )
    )
    begun, before = time.perf_counter(), os.times()
    done = subprocess.run(_command(PRODUCT, manifest, folder / "real"), env=_environment(), check=False, cwd=ROOT)
    after, seconds = os.times(), time.perf_counter() - begun
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    lines = [json.loads(line) for line in (folder / "real" / "backfill-report.jsonl").read_text().splitlines()]
    return {
        "rows": len(lines),
        "exit": done.returncode,
        "outcomes": Counter(line["outcome"] for line in lines),
        "seconds": round(seconds, 1),
        "processor_seconds": round(spent, 1),
        "images_per_core_minute": round(len(lines) * 60 / spent, 1),
    }


class _Peak:
    """The largest memory, in MB, that a process and any one of its children took, looked at now and then."""

    def __init__(self, pid: int) -> None:
        self._pid, self._parent, self._child = pid, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> tuple[int, int]:
        """The peaks."""
        self._stop.set()
        self._thread.join()
        return self._parent, self._child

    def _look(self) -> None:
        while not self._stop.wait(0.5):
            self._parent = max(self._parent, _peak_of(self._pid))
            try:
                children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
            except OSError:
                continue
            self._child = max([self._child, *(_peak_of(int(child)) for child in children)])


def _peak_of(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _peak_self() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _done(output: Path) -> int:
    return sum(1 for _ in output.glob("*_hdr.jpg")) if output.exists() else 0


def _command(module: str, source: Path, output: Path) -> list[str]:
    return [sys.executable, "-m", module, "backfill", str(source), "--local", "-o", str(output)]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGAIN_")}
    return kept | {"PYTHONPATH": str(ROOT), "REGAIN_THREADS": "1"}


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=_environment(), cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Print one line of JSON a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=0, help="of the manifest that is read")
    parser.add_argument("--killed", type=int, default=0, help="rows of the run that is killed five times")
    parser.add_argument("--photos", type=Path, help="folder of real photos")
    parser.add_argument("--glob", default="*.sdr.jpg", help="which of its files")
    parser.add_argument("--count", type=int, default=300, help="of real photos")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if wanted.rows:
            print(json.dumps({"manifest": read_many(wanted.rows, folder)}), flush=True)
        if wanted.killed:
            print(json.dumps({"killed": kill_many(wanted.killed, folder)}), flush=True)
        if wanted.photos:
            print(json.dumps({"real": restore_real(wanted.photos, wanted.glob, wanted.count, folder)}), flush=True)


if __name__ == "__main__":
    main()
