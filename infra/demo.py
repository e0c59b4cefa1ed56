"""`make demo`: start the whole service, run one photo through it over HTTP, audit the result, stop the service."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import requests

from worker.embedded import free_port

READY: Final = 90.0  # seconds
FOLDER: Final = Path("out/demo")  # the stack's data


def main() -> int:
    """Restore the photo that the command line names; the exit code of the last step."""
    photo, output = sys.argv[1:3]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    regain = [sys.executable, "-m", "worker.cli.main"]
    stack = subprocess.Popen([*regain, "up", "--port", str(port), "--data-dir", str(FOLDER)])
    try:
        if not ready(url, stack):
            print("demo: the service did not become ready; its words are above", file=sys.stderr)  # noqa: T201
            return 1
        key = (FOLDER / "api-key").read_text(encoding="ascii").strip()
        environment = {**os.environ, "REGAIN_URL": url, "REGAIN_API_KEY": key}
        done = subprocess.run([*regain, "submit", photo, "--wait", "-o", output], env=environment, check=False)
    finally:
        stack.terminate()
        stack.wait()
    return done.returncode


def ready(url: str, stack: "subprocess.Popen[bytes]") -> bool:
    """Wait until every part says that it is ready."""
    end = time.monotonic() + READY
    while time.monotonic() < end and stack.poll() is None:
        try:
            if requests.get(f"{url}/readyz", timeout=5).ok:
                return True
        except requests.RequestException:
            pass
        time.sleep(0.2)
    return False


if __name__ == "__main__":
    sys.exit(main())
