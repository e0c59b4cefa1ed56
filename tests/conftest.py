"""Fixtures for what a test needs from outside: readers, sample files, and pairs to score on.

A test whose reader is absent is skipped and listed at the end. Under CI=true a skip is a failure.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readers import chromium as browser
from tests.readers.external import ExifTool, GainMapJs

ROOT = Path(__file__).parents[1]
IN_CI = os.environ.get("CI") == "true"
_DATA = {
    "samples": ("REGAIN_SAMPLES", ROOT.parent / "shared" / "samples"),
    "pairs": ("REGAIN_PAIRS", ROOT.parent / "shared" / "data" / "gainmaps"),
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith("REGAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("REGAIN_MODELS_DIR", str(tmp_path / "models"))


_FOLDERS = {name: Path(os.environ.get(variable, default)) for name, (variable, default) in _DATA.items()}


def _folder(name: str) -> Path:
    folder = _FOLDERS[name]
    if not folder.is_dir():
        pytest.skip(f"no {name} at hand: set {_DATA[name][0]} to their folder")
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real files."""
    return _folder("samples")


@pytest.fixture(scope="session")
def pairs() -> Path:
    """The folder of photo and gain-map pairs, with train/ and val/."""
    return _folder("pairs")


@pytest.fixture(scope="session")
def chromium() -> Iterator[browser.Chromium]:
    """One headless browser for the session."""
    if browser.binary() is None:
        pytest.skip("Chromium is not installed: make system-deps")
    with browser.Chromium() as running:
        yield running


@pytest.fixture(scope="session")
def exiftool() -> ExifTool:
    """exiftool 13."""
    reason = ExifTool.missing()
    if reason is not None:
        pytest.skip(reason)
    return ExifTool()


@pytest.fixture(scope="session")
def gainmapjs() -> GainMapJs:
    """gainmap-js on Node.js."""
    reason = GainMapJs.missing()
    if reason is not None:
        pytest.skip(reason)
    return GainMapJs()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI everything that tests need is there: a skip means that something was not tested."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("CI: skipped tests count as failed", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
