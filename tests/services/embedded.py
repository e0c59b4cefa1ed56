"""`regain up` as one process, started as a user starts it, and a browser at its page."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests
from playwright.sync_api import Browser, sync_playwright

from tests.readers.chromium import binary
from worker.embedded import free_port

ROOT = Path(__file__).parents[2]
START = 60.0  # seconds


class Embedded:
    """The whole stack over one folder; stopped and started anew it finds its data at the same address."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._environment = dict(environment or {})
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> str:
        """The stack's own API key."""
        return (self.folder / "api-key").read_text(encoding="ascii").strip()

    def start(self) -> None:
        """Start it; returns once it says that it is up."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("REGAIN_")}
        command = [sys.executable, "-m", "worker.cli.main", "up", "--port", str(self.port)]
        with (self.folder.parent / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--data-dir", str(self.folder), "--workers", "1"],
                cwd=ROOT,
                env={**environment, "PYTHONPATH": str(ROOT), **self._environment},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b"Ctrl-C" in line:
                break
        assert requests.get(f"{self.url}/healthz", timeout=START).ok

    def stop(self) -> None:
        """Ctrl-C."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=30)
        self._process = None


@contextmanager
def browser() -> Iterator[Browser]:
    """Headless Chromium whose canvases can render for any headroom."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=binary(), args=["--no-sandbox", "--enable-blink-features=CanvasGlobalHDRHeadroom"]
        )
        yield running
        running.close()
