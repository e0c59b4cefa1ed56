"""The models that can be used: the manifest that ships, and what `regain model install` added."""

import hashlib
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

MANIFEST = "manifest.toml"
BLOCK = 1 << 20  # bytes read at a time while hashing


class ModelError(ValueError):
    """A model cannot be found, read or trusted; `code` is stable, the text is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ModelKind(StrEnum):
    """How a model's files are run."""

    GMNET = "gmnet"
    COMPACT = "compact"
    NAIVE = "naive"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model and the SHA-256 (hex) that it must have."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of a manifest.

    `peak` is in stops: stops = peak * clip(output, 0, 1). `long_side` is the network's default input in
    pixels; `scale` (0..1], where set, is a share of the photo's own sides and wins over `long_side`.
    """

    name: str
    kind: ModelKind
    files: dict[str, ModelFile]
    peak: float
    long_side: int
    scale: float | None
    licence: str
    provenance: str
    default: bool

    def verified(self, role: str) -> Path:
        """The path of the file with this role, its hash checked.

        Raises:
            ModelError: the file is missing, or its hash is not the manifest's.
        """
        file = self.files[role]
        if not file.path.is_file():
            raise ModelError(
                "model_missing", f"{file.path}: a file of model {self.name!r} is missing; install the model again"
            )
        if sha256_of(file.path) != file.sha256:
            raise ModelError(
                "model_changed",
                f"{file.path}: its SHA-256 is not the manifest's for model {self.name!r}; install the model again",
            )
        return file.path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as hex, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def shipped_folder() -> Path:
    """The folder of the manifest and weights that ship with the project."""
    return Path(str(files("models")))


def read_manifest(folder: Path) -> dict[str, Model]:
    """Every model that a folder's manifest names; none where there is no manifest.

    Raises:
        ModelError: the manifest is not readable as one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _model(name, entry, folder) for name, entry in table.get("models", {}).items()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError("bad_manifest", f"{path}: not a manifest of models ({error!r}); mend or remove it") from error


def _model(name: str, entry: dict[str, Any], folder: Path) -> Model:
    parts = {
        role: ModelFile(folder / str(file["path"]), str(file["sha256"]))
        for role, file in entry.get("files", {}).items()
    }
    return Model(
        name=name,
        kind=ModelKind(entry["kind"]),
        files=parts,
        peak=float(entry["peak"]),
        long_side=int(entry.get("long_side", 1024)),
        scale=float(entry["scale"]) if "scale" in entry else None,
        licence=str(entry["licence"]),
        provenance=str(entry["provenance"]),
        default=bool(entry.get("default", False)),
    )


def known_models(installed: Path) -> dict[str, Model]:
    """Shipped models, then installed ones; a shipped name cannot be replaced."""
    return {**read_manifest(installed), **read_manifest(shipped_folder())}


def find_model(name: str | None, installed: Path) -> Model:
    """The model of this name, or the chosen default.

    Raises:
        ModelError: no such model.
    """
    models = known_models(installed)
    if name is None:
        chosen = chosen_name(installed)
        name = chosen if chosen is not None else next(m.name for m in models.values() if m.default)
    if name not in models:
        raise ModelError("unknown_model", f"no model named {name!r}; known: {', '.join(sorted(models))}")
    return models[name]


def chosen_name(installed: Path) -> str | None:
    """The name that `regain model use` stored, if any."""
    file = installed / "default"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None
