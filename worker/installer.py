"""Install the authors' weights: fetch, check, export, register; all of it or nothing."""

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from shared.registry import BLOCK, MANIFEST, ModelError, sha256_of, shipped_folder

TIMEOUT: Final = 30  # seconds without a byte
EXPORT_TIMEOUT: Final = 600  # seconds
MAX_CHECKPOINT: Final = 64 << 20  # bytes: the authors' files have 8 MB


@dataclass(frozen=True, slots=True)
class Source:
    """One installable checkpoint, as the shipped manifest lists it."""

    name: str
    url: str
    sha256: str
    peak: float
    scale: float
    licence: str
    provenance: str


def sources() -> dict[str, Source]:
    """Every checkpoint that `regain model install` knows."""
    table = tomllib.loads((shipped_folder() / MANIFEST).read_text(encoding="utf-8"))
    return {
        name: Source(
            name,
            entry["url"],
            entry["sha256"],
            float(entry["peak"]),
            float(entry["scale"]),
            entry["licence"],
            entry["provenance"],
        )
        for name, entry in table.get("installable", {}).items()
    }


def install(source: Source, folder: Path, given: Path | None, progress: Callable[[int, int | None], None]) -> Path:
    """Install a checkpoint below `folder` and register it there.

    Args:
        source: what to install.
        folder: where installed models and their manifest live.
        given: a checkpoint file at hand; fetched from `source.url` where None.
        progress: told the bytes so far and in all (None where the server does not say).

    Returns:
        The model's own folder.

    Raises:
        ModelError: no network, a truncated or wrong file, no training extra, or a failed export; nothing is
            registered then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".installing-") as workplace:
        checkpoint = Path(workplace) / "checkpoint.pth"
        if given is None:
            _write(checkpoint, _download(source.url), progress)
        else:
            _write(checkpoint, _read(given), progress)
        found = sha256_of(checkpoint)
        if found != source.sha256:
            raise ModelError(
                "wrong_checkpoint",
                f"{given or source.url}: SHA-256 is {found}, not {source.sha256}; nothing was installed. "
                "Fetch the file again, or check that it is the authors'",
            )
        exported = Path(workplace) / source.name
        export(checkpoint, exported)
        target = folder / source.name
        shutil.rmtree(target, ignore_errors=True)
        exported.rename(target)
    _register(source, folder)
    return target


def export(checkpoint: Path, out: Path) -> None:
    """Turn a checkpoint into ONNX graphs in a process of its own, for torch is no part of the run time.

    Raises:
        ModelError: torch is not installed, or the file is not a GMNet state dictionary.
    """
    command = [sys.executable, "-m", "models.export", "--kind", "gmnet"]
    command += ["--weights", str(checkpoint), "--out", str(out)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=EXPORT_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(
            "export_failed", f"the export took longer than {EXPORT_TIMEOUT} s; nothing was installed"
        ) from None
    if done.returncode == 0:
        return
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if "No module named 'torch'" in done.stderr or "No module named 'onnx'" in done.stderr:
        raise ModelError(
            "no_training_extra",
            "exporting a checkpoint needs the training extra; install requirements/train.txt into this environment",
        )
    raise ModelError("export_failed", f"not a GMNet checkpoint, or not weights alone ({reason}); nothing was installed")


def _download(url: str) -> Iterator[tuple[bytes, int | None]]:
    try:
        with urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310  (the manifest's own address, hash-checked)
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            received = 0
            while block := response.read(BLOCK):
                received += len(block)
                yield block, total
            if total is not None and received < total:
                raise ModelError("truncated_download", f"{url}: only {received} of {total} bytes came; try again")
    except (URLError, OSError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise ModelError(
            "no_network", f"{url}: cannot be fetched ({error}); fetch it elsewhere and give it with --from"
        ) from error


def _read(path: Path) -> Iterator[tuple[bytes, int | None]]:
    try:
        total = path.stat().st_size
        with path.open("rb") as stream:
            while block := stream.read(BLOCK):
                yield block, total
    except OSError as error:
        raise ModelError("no_checkpoint", f"{path}: cannot be read ({error.strerror}); check the name") from error


def _write(path: Path, blocks: Iterator[tuple[bytes, int | None]], progress: Callable[[int, int | None], None]) -> None:
    written = 0
    with path.open("wb") as stream:
        for block, total in blocks:
            written += len(block)
            if written > MAX_CHECKPOINT:
                raise ModelError("wrong_checkpoint", f"larger than {MAX_CHECKPOINT >> 20} MiB: no GMNet checkpoint")
            stream.write(block)
            progress(written, total)


def _register(source: Source, folder: Path) -> None:
    """Rewrite the installed manifest with this model in it, whole or not at all."""
    entries: list[str] = []
    manifest = folder / MANIFEST
    known = tomllib.loads(manifest.read_text(encoding="utf-8"))["models"] if manifest.is_file() else {}
    known[source.name] = {
        "kind": "gmnet",
        "peak": source.peak,
        "scale": source.scale,
        "licence": source.licence,
        "provenance": source.provenance,
        "files": {
            role: {"path": f"{source.name}/{role}.onnx", "sha256": sha256_of(folder / source.name / f"{role}.onnx")}
            for role in ("global", "local")
        },
    }
    for name, entry in known.items():
        entries.append(f"[models.{json.dumps(name)}]")
        entries += [f"{key} = {json.dumps(value)}" for key, value in entry.items() if key != "files"]
        for role, file in entry["files"].items():
            entries += [f"[models.{json.dumps(name)}.files.{role}]"]
            entries += [f"{key} = {json.dumps(value)}" for key, value in file.items()]
    temporary = manifest.with_suffix(".new")
    temporary.write_text("\n".join(entries) + "\n", encoding="utf-8")
    temporary.replace(manifest)
