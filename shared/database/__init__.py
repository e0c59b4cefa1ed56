"""The SQL side: the truth about every job. SQLite embedded, PostgreSQL deployed, one code over both."""

from shared.database.engine import Database, DatabaseUnavailableError
from shared.database.schema import migrate

__all__ = ["Database", "DatabaseUnavailableError", "migrate"]
