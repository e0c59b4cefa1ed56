"""The readers as one fixture."""

import pytest

from tests.readers.check import Readers
from tests.readers.chromium import Chromium
from tests.readers.external import ExifTool, GainMapJs


@pytest.fixture(scope="session")
def readers(chromium: Chromium, exiftool: ExifTool, gainmapjs: GainMapJs) -> Readers:
    """Every independent reader; a test that asks for it is skipped where one is absent."""
    return Readers(chromium, exiftool, gainmapjs)
