"""The schema's versions, applied by Alembic."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, text

from shared.database.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config

# Alembic is imported where it is used: a quarter of a second that only who migrates or asks has to pay.

FOLDER: Final = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Bring a database to the newest version; one process at a time, nothing done where it is there.

    Raises:
        DatabaseUnavailableError: no connection.
    """
    from alembic import command  # noqa: PLC0415

    with database.begin(lock="schema") as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_current(database: Database) -> bool:
    """Whether the database is at the version that this code wants."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        found = connection.execute(text("select version_num from alembic_version")).scalars().all()
    return set(found) == set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
