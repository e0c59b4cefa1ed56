"""Lighthouse's scores of every page over the embedded stack: `make lighthouse`. Reported, not asserted."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.readers.chromium import binary
from tests.services.embedded import ROOT, Embedded

LIGHTHOUSE: Final = ROOT / "infra" / "lighthouse" / "node_modules" / "lighthouse" / "cli" / "index.js"
PAGES: Final = ("/", "/batches", "/audit", "/insights")
CATEGORIES: Final = ("performance", "accessibility", "best-practices")
TIMES: Final = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time")
FLAGS: Final = "--headless=new --no-sandbox --disable-gpu"


def measure(url: str, folder: Path) -> dict[str, Any]:
    """One run as a telephone: 4x slower processor, 150 ms round trips, 1.6 Mbit/s, all simulated."""
    target = folder / "report.json"
    command = ["node", str(LIGHTHOUSE), url, "--quiet", "--output=json", f"--output-path={target}"]
    command += [f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={FLAGS}", "--max-wait-for-load=60000"]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CHROME_PATH": str(binary()), "HOME": str(folder)}
    subprocess.run(command, check=True, env=environment, cwd=folder)
    report: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return report


def main() -> int:
    """Print a line a page."""
    if not LIGHTHOUSE.is_file() or binary() is None:
        sys.stderr.write("lighthouse: npm ci in infra/lighthouse, and make system-deps for Chromium\n")
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        data.mkdir()
        stack = Embedded(data)
        stack.start()
        try:
            for page in PAGES:
                report = measure(stack.url + page, Path(temporary))
                scores = [f"{name} {round(100 * report['categories'][name]['score'])}" for name in CATEGORIES]
                times = [f"{name} {report['audits'][name]['displayValue']}" for name in TIMES]
                bytes_sent = report["audits"]["total-byte-weight"]["numericValue"]
                print(f"{page}: {', '.join(scores)}; {', '.join(times)}; {bytes_sent / 1000:.0f} kB")
                for name, found in report["audits"].items():
                    if found["score"] == 0 and found["scoreDisplayMode"] == "binary":
                        print(f"    {name}: {found['title']}")
        finally:
            stack.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
