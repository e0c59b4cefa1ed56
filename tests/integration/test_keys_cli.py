"""`regain keys` on a real SQLite file."""

import json
from pathlib import Path

import pytest

from shared.database import Database, key_store, migrate
from shared.database.key_store import Scope
from tests.integration.test_cli import regain


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A migrated database that the commands are led to."""
    made = Database(f"sqlite:///{tmp_path / 'keys.sqlite3'}")
    migrate(made)
    made.dispose()
    monkeypatch.setenv("REGAIN_DATABASE_URL", made.url.render_as_string(hide_password=False))
    return made


CREATE = ("keys", "create", "--tenant", "studio", "--name", "uploader", "--scope")


def test_a_key_is_shown_once_and_works(database: Database) -> None:
    done = regain(*CREATE, "jobs:write,jobs:read", "--scope", "audit", "--daily-quota", "500")
    assert done.returncode == 0, done.stderr
    text = done.stdout.strip()
    assert text.startswith("rgn_")
    assert text not in done.stderr
    assert "shown this once" in done.stderr
    with database.read() as connection:
        key = key_store.authenticate(connection, text)
    database.dispose()
    assert key is not None
    assert key.scopes == {Scope.JOBS_READ, Scope.JOBS_WRITE, Scope.AUDIT}
    assert (key.tenant, key.name, key.daily_quota) == ("studio", "uploader", 500)
    assert text.encode() not in Path(str(database.url.database)).read_bytes()
    listed = regain("keys", "list", "--json")
    assert text not in listed.stdout
    assert [(row["id"], row["revoked"]) for row in json.loads(listed.stdout)] == [(key.id, None)]


def test_a_revoked_key_no_longer_works(database: Database) -> None:
    made = json.loads(regain(*CREATE, "jobs:read", "--json").stdout)
    assert regain("keys", "revoke", made["id"]).returncode == 0
    with database.read() as connection:
        assert key_store.authenticate(connection, made["key"]) is None
    database.dispose()
    assert "revoked" in regain("keys", "list").stdout
    again = regain("keys", "revoke", made["id"])
    assert (again.returncode, "no key" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((*CREATE, "jobs:own"), 2, "--scope jobs:own: give some of jobs:read"),
        ((*CREATE, ","), 2, "give some of"),
        (("keys", "create", "--tenant", " ", "--name", "a", "--scope", "audit"), 2, "--tenant ' ': give 1 to 64"),
        (("keys", "create", "--tenant", "a", "--name", "b" * 65, "--scope", "audit"), 2, "give 1 to 64"),
        (("keys", "create", "--tenant", "a", "--name", "b"), 2, "Missing option '--scope'"),
        ((*CREATE, "audit", "--daily-quota", "0"), 2, "daily-quota"),
    ],
)
def test_what_cannot_be_a_key(arguments: tuple[str, ...], code: int, words: str, database: Database) -> None:
    done = regain(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert json.loads(regain("keys", "list", "--json").stdout) == []


def test_without_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGAIN_DATABASE_URL", f"sqlite:///{tmp_path / 'none.sqlite3'}")
    done = regain("keys", "list")
    assert (done.returncode, "run `regain migrate`" in done.stderr) == (1, True)
    assert not (tmp_path / "none.sqlite3").exists()


def test_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGAIN_DATABASE_URL", "postgresql://regain:hidden@127.0.0.1:9/regain")
    done = regain("keys", "list")
    assert (done.returncode, "check REGAIN_DATABASE_URL" in done.stderr) == (1, True)
    assert "hidden" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
