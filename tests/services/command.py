"""The `regain` command as a process of its own, in an environment that leads to a service."""

import os
import subprocess
import sys
from pathlib import Path

from tests.services.stack import ROOT

MODULE = [sys.executable, "-m", "worker.cli.main"]


class Command:
    """The command in an environment that leads to a service."""

    def __init__(self, url: str, key: str, folder: Path) -> None:
        """Started in `folder`."""
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith("REGAIN_")}
        self.environment = kept | {"PYTHONPATH": str(ROOT), "REGAIN_URL": url, "REGAIN_API_KEY": key}
        self.said = folder / "said.txt"

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """In a group of its own; what it says goes to `said`."""
        with self.said.open("wb") as stream:
            return subprocess.Popen(
                [*MODULE, *map(str, arguments)],
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    def finish(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """To its end."""
        return subprocess.run(
            [*MODULE, *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
