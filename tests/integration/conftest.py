"""The API over each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.api import Api, close, make_api
from tests.services.postgres import postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL for the session."""
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """An API over an empty database of each kind."""
    url = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = make_api(tmp_path / "data", url)
    yield made
    close(made)


@pytest.fixture
def small_api(tmp_path: Path) -> Iterator[Api]:
    """The same over SQLite alone, for what no database has a part in."""
    made = make_api(tmp_path / "data")
    yield made
    close(made)
