"""The readers that are programs or libraries of others: exiftool, gainmap-js and libultrahdr."""

import base64
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

READERS = Path(__file__).parents[2] / "infra" / "readers"
_EXIFTOOL = READERS / "node_modules" / "exiftool-vendored.pl" / "bin" / "exiftool"
_GAINMAP_JS = READERS / "node_modules" / "@monogrid" / "gainmap-js"


@dataclass(frozen=True, slots=True)
class ExifTool:
    """exiftool 13, which knows MPF, GContainer and the ISO segment's name."""

    @staticmethod
    def missing() -> str | None:
        """Why it cannot be used here."""
        return None if _EXIFTOOL.is_file() and shutil.which("perl") else "exiftool is not installed: make system-deps"

    def binary(self, jpeg: bytes, tag: str) -> bytes:
        """A binary tag's bytes, empty where there is none: `MPImage2` by MPF, `GainMapImage` by GContainer."""
        return self._run(jpeg, "-b", f"-{tag}")

    def tags(self, jpeg: bytes) -> dict[str, Any]:
        """Every tag, numeric, by group and name."""
        tags: dict[str, Any] = json.loads(self._run(jpeg, "-j", "-n", "-G1", "-a"))[0]
        return tags

    def _run(self, jpeg: bytes, *arguments: str) -> bytes:
        done = subprocess.run(
            ["perl", str(_EXIFTOOL), *arguments, "-"], input=jpeg, capture_output=True, check=False, timeout=60
        )
        return done.stdout


@dataclass(frozen=True, slots=True)
class GainMapJs:
    """gainmap-js 3.7, which finds the map by MPF with a parser of its own."""

    @staticmethod
    def missing() -> str | None:
        """Why it cannot be used here."""
        ready = _GAINMAP_JS.is_dir() and shutil.which("node")
        return None if ready else "gainmap-js or Node.js is not installed: make system-deps"

    def read(self, jpeg: bytes) -> tuple[bytes, dict[str, Any]] | None:
        """The map and the metadata; None where it finds none, or something that is no JPEG."""
        with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
            file.write(jpeg)
            file.flush()
            script = Path(__file__).with_name("gainmapjs.mjs")
            command = ["node", str(script), str(READERS), file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        answer = json.loads(done.stdout)
        if "error" in answer:
            return None
        gain_map = base64.b64decode(answer["map"])
        return (gain_map, answer["metadata"]) if gain_map[:2] == b"\xff\xd8" else None


def libultrahdr(jpeg: bytes) -> NDArray[np.float32] | None:
    """libultrahdr's full application: (H, W, 3) float32, linear light, 1.0 = SDR white; None where it refuses."""
    try:
        decoded = imagecodecs.ultrahdr_decode(jpeg)
    except imagecodecs.UltrahdrError:
        return None
    return np.asarray(decoded[:, :, :3], np.float32)
