"""Put trained weights into the project: export, hash, and write them into the manifest.

`python -m models.publish --name gmnet --kind gmnet --weights FILE [--long-side N]`
"""

import argparse
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from models.export import export_compact, export_gmnet, load_weights
from shared.registry import MANIFEST, sha256_of

HERE = Path(__file__).parent


def publish(name: str, kind: str, weights: Path, folder: Path = HERE) -> dict[str, str]:
    """Export `weights` into `folder`/weights/`name` and return each file's SHA-256 by role."""
    target = folder / "weights" / name
    target.mkdir(parents=True, exist_ok=True)
    state = load_weights(weights)
    paths = (export_gmnet if kind == "gmnet" else export_compact)(state, target)
    paths.append(target / "weights.npz")
    arrays: dict[str, Any] = {key: value.numpy() for key, value in state.items()}
    np.savez_compressed(paths[-1], **arrays)
    return {path.stem: sha256_of(path) for path in paths}


def rehash(manifest: str, name: str, hashes: dict[str, str]) -> str:
    """The manifest's text with the new hashes of one model's files."""
    for role, digest in hashes.items():
        pattern = rf'(\[models\.{re.escape(name)}\.files\.{role}\]\npath = "[^"]*"\nsha256 = ")[^"]*'
        manifest, count = re.subn(pattern, rf"\g<1>{digest}", manifest)
        if count != 1:
            raise ValueError(f"the manifest has no entry for file {role!r} of model {name!r}; add it first")
    return manifest


def main() -> None:
    """Read the command line and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--kind", choices=["gmnet", "compact"], required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="folder of the training run, for its configuration and scores")
    args = parser.parse_args()
    hashes = publish(args.name, args.kind, args.weights)
    manifest = HERE / MANIFEST
    manifest.write_text(rehash(manifest.read_text(encoding="utf-8"), args.name, hashes), encoding="utf-8")
    if args.run is not None:
        for file in ("config.json", "scores.jsonl"):
            shutil.copyfile(args.run / file, HERE / "weights" / args.name / file)


if __name__ == "__main__":
    main()
