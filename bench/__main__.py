"""`make bench`: what a photo costs, as ratios taken in one run, interleaved, each measurement in a process of its own.

Writes `bench/results.json` and `docs/performance.svg`, and prints the table of docs/performance.md.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Console
from rich.table import Table

from bench.child import FULL, SCALE
from bench.photos import photo_of
from bench.plot import plot
from bench.scaling import images_a_minute
from models.export import export_gmnet
from models.gmnet import GMNet, initialise
from shared.registry import sha256_of

OUT: Final = Path("out/bench")
MODELS: Final = OUT / "models"
RESULTS: Final = Path("bench/results.json")
SIZES: Final = (2.0, 12.0, 24.0, 48.0)  # megapixels
CURVE: Final = (2.0, 6.0, 12.0, 24.0, 48.0, 72.0, 100.0)  # of the plot
REFERENCE: Final = (2.0, 12.0)  # PyTorch takes 40 CPU seconds for 12; its cost grows with the pixels alone
BACKENDS: Final = ("onnxruntime", "int8", "openvino")
ENDURED: Final = 500  # photos in one process
console = Console()


def child(kind: str, **options: Any) -> dict[str, Any]:
    """One measurement.

    Raises:
        subprocess.CalledProcessError: it failed; what it said is on standard error.
    """
    command = [sys.executable, "-m", "bench.child", kind]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def command(photo: Path) -> float:
    """Seconds by the clock from calling `regain restore` to its file: start, imports, model and all."""
    begun = time.perf_counter()
    restore = [sys.executable, "-m", "worker.cli.main", "restore", str(photo), "-o", str(OUT / "restored.jpg")]
    subprocess.run(restore, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def make_full_gmnet() -> Path:
    """GMNet at the authors' size with seeded weights (speed does not depend on them), registered as their own are."""
    folder = MODELS / FULL
    torch.manual_seed(1)
    net = GMNet().eval()
    initialise(net, 0.2, 0.5)
    paths = export_gmnet(net.state_dict(), folder)
    torch.save(net.state_dict(), folder / "weights.pt")
    lines = [f"[models.{FULL}]", 'kind = "gmnet"', "peak = 3.0", f"scale = {SCALE}", 'licence = "MIT"']
    lines.append('provenance = "seeded weights at the size of the authors\' network, for measuring alone"')
    for path in paths:
        lines += [f"[models.{FULL}.files.{path.stem}]", f'path = "{FULL}/{path.name}"', f'sha256 = "{sha256_of(path)}"']
    (MODELS / "manifest.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def median(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Field by field; tables of numbers likewise, and the largest of what is a peak."""
    merged: dict[str, Any] = {}
    for key, value in rows[0].items():
        found = [row[key] for row in rows]
        if isinstance(value, dict):
            merged[key] = {name: statistics.median(part[name] for part in found) for name in value}
        else:
            merged[key] = max(found) if key.endswith("_mb") else statistics.median(found)
    return merged


def cases(weights: Path, *, reference: bool) -> dict[str, tuple[str, dict[str, Any]]]:
    """Everything that is interleaved, by name."""
    found: dict[str, tuple[str, dict[str, Any]]] = {"limit": ("limit", {"weights": weights})}
    for size in SIZES:
        photo = photo_of(size, OUT)
        for backend in BACKENDS:
            found[f"compact {backend} {size:g}"] = ("job", {"photo": photo, "backend": backend})
        found[f"gmnet onnxruntime {size:g}"] = ("job", {"photo": photo, "model": "gmnet"})
    for size in CURVE:
        if size not in SIZES:
            found[f"compact onnxruntime {size:g}"] = ("job", {"photo": photo_of(size, OUT)})
    for backend in BACKENDS:
        photo = photo_of(12.0, OUT)
        found[f"gmnet {backend} parts 12"] = ("network", {"photo": photo, "model": "gmnet", "backend": backend})
    for size in REFERENCE if reference else ():
        photo = photo_of(size, OUT)
        for layout in ("eager", "channels_last"):
            found[f"torch {layout} {size:g}"] = (
                "reference",
                {"photo": photo, "layout": layout, "weights": weights / "weights.pt"},
            )
        found[f"{FULL} onnxruntime {size:g}"] = ("job", {"photo": photo, "model": FULL, "repeat": 0})
    return found


def machine() -> dict[str, Any]:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    features = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if f" {flag}" in flags]
    return {"cpu": name, "cores": os.cpu_count(), "features": features, "python": platform.python_version()}


def table(found: dict[str, Any]) -> Table:
    """The figures that docs/performance.md quotes."""
    shown = Table("", *(f"{size:g} MP" for size in SIZES), title="CPU seconds of a whole job, and peak MiB")
    rows = [f"compact {backend}" for backend in BACKENDS] + ["gmnet onnxruntime", f"{FULL} onnxruntime"]
    for name in [*rows, "torch eager", "torch channels_last"]:
        cells = []
        for size in SIZES:
            row = found.get(f"{name} {size:g}")
            cells.append("" if row is None else f"{row['cpu']:.3f} / {row['peak_mb']:.0f}")
        shown.add_row(name, *cells)
    return shown


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """The aims, as ratios of this run."""
    job = found["compact onnxruntime 12"]
    figures = {
        "everything but the network, 12 MP, core-s": job["cpu"] - job["stages"]["predict"],
        "share of the convolution limit": found["limit"]["network_gflops"] / found["limit"]["limit_gflops"],
        "cold start to first result, 12 MP, s": found["cold"]["command"],
        "cold start over a warm job, s": found["cold"]["command"] - job["cpu"],
        "cold start of a worker's process to first result, 12 MP, s": job["cold_wall"],
        "peak MiB, 12 MP": job["peak_mb"],
        "peak MiB, 48 MP": found["compact onnxruntime 48"]["peak_mb"],
        "two workers to one": found["workers"]["two"] / found["workers"]["one"],
        "images a core-minute, 12 MP": 60 / job["cpu"],
        "memory over 500 photos, late to early": found["endurance"]["late_mb"] / found["endurance"]["early_mb"],
    }
    if "torch eager 12" in found:
        figures["against torch eager at half size, 12 MP"] = job["cpu"] / found["torch eager 12"]["cpu"]
        figures["against ONNX Runtime at half size, 12 MP"] = job["cpu"] / found[f"{FULL} onnxruntime 12"]["cpu"]
    return figures


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-reference", action="store_true", help="leave out the full network (minutes a round)")
    args = parser.parse_args()
    weights = make_full_gmnet()
    asked = cases(weights, reference=not args.no_reference)
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in asked}
    workers: dict[str, list[float]] = {"one": [], "two": []}
    cold: list[float] = []
    for turn in range(args.rounds):
        for name, (kind, options) in asked.items():
            rounds[name].append(child(kind, **options))
            console.print(f"[dim]{turn + 1}/{args.rounds} {name}", highlight=False)
        photo = photo_of(12.0, OUT)
        cold.append(command(photo))
        workers["one"].append(images_a_minute(1, photo))
        workers["two"].append(images_a_minute(2, photo))
    found: dict[str, Any] = {name: median(rows) for name, rows in rounds.items()}
    found["workers"] = {name: statistics.median(values) for name, values in workers.items()}
    found["cold"] = {"command": statistics.median(cold)}
    found["endurance"] = child("endurance", photo=photo_of(12.0, OUT), repeat=ENDURED)
    result = {"machine": machine(), "rounds": args.rounds, "ratios": ratios(found), "cases": found}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    plot({size: found[f"compact onnxruntime {size:g}"] for size in CURVE}, Path("docs/performance.svg"))
    console.print(table(found))
    for name, value in result["ratios"].items():
        console.print(f"{name}: {value:.3g}", highlight=False)


if __name__ == "__main__":
    main()
