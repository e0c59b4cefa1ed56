"""`regain keys`: API keys, made and ended where the database is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from shared.database import Database, DatabaseUnavailableError, key_store
from shared.database.key_store import ApiKey, Scope
from shared.database.schema import is_current
from shared.settings import load_service_settings
from worker.cli.console import USAGE, CliError, err, fail, out, print_json

LONGEST_NAME = 64  # characters; the columns' width

keys = typer.Typer(help="Make, list and end API keys (in the database of REGAIN_DATABASE_URL).", no_args_is_help=True)


@keys.command()
def create(
    tenant: Annotated[str, typer.Option(help="whose jobs the key sees")],
    name: Annotated[str, typer.Option(help="what the key is for")],
    scope: Annotated[list[str], typer.Option(help=f"of {', '.join(Scope)}; repeat, or separate by commas")],
    daily_quota: Annotated[int | None, typer.Option(min=1, help="most jobs a day; no limit if left out")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False,
) -> None:
    """Make a key. It is shown once, on standard output; only its hash is kept."""
    for option, text in (("--tenant", tenant), ("--name", name)):
        if not 0 < len(text.strip()) <= LONGEST_NAME:
            fail(f"{option} {text!r}: give 1 to {LONGEST_NAME} characters", USAGE)
    scopes = _scopes(scope)
    with _database() as database, database.begin() as connection:
        key, text = key_store.create(connection, tenant.strip(), name.strip(), scopes, daily_quota)
    if as_json:
        print_json(_facts(key) | {"key": text})
        return
    err.print(f"[green]created[/] {key.id} for {escape(key.tenant)}; the key is shown this once, keep it now:")
    typer.echo(text)


@keys.command(name="list")
def list_keys(as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False) -> None:
    """Show every key's name, owner and scopes; the keys themselves are nowhere."""
    with _database() as database, database.read() as connection:
        found = key_store.every(connection)
    if as_json:
        print_json([_facts(key) for key in found])
        return
    table = Table(box=None)
    for column in ("id", "tenant", "name", "scopes", "quota", "created", "state"):
        table.add_column(column)
    for key in found:
        state = "[green]in force[/]" if key.revoked is None else "[red]revoked[/]"
        quota = "" if key.daily_quota is None else f"{key.daily_quota}/day"
        table.add_row(
            key.id, escape(key.tenant), escape(key.name), ", ".join(sorted(key.scopes)), quota, _day(key.created), state
        )
    out.print(table)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="of `regain keys list`")]) -> None:
    """End a key at once."""
    with _database() as database, database.begin() as connection:
        ended = key_store.revoke(connection, key_id, time.time())
    if not ended:
        raise CliError(f"no key {key_id} in force; `regain keys list` shows them all")
    out.print(f"[green]revoked[/] {escape(key_id)}")


def _scopes(given: list[str]) -> list[Scope]:
    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Scope)]
    if unknown or not names:
        fail(f"--scope {', '.join(unknown) or given}: give some of {', '.join(Scope)}", USAGE)
    return sorted({Scope(name) for name in names})


@contextmanager
def _database() -> Iterator[Database]:
    database = Database(load_service_settings().sql_url())
    where = database.url.render_as_string(hide_password=True)
    try:
        # SQLite would make an empty file of a mistyped name.
        missing = database.is_sqlite and not Path(database.url.database or "").is_file()
        if missing or not is_current(database):
            raise CliError(f"{where}: has not this version's tables; run `regain migrate`, or `regain up` once")
        yield database
    except DatabaseUnavailableError as error:
        first_line = str(error).splitlines()[0]
        raise CliError(f"{where}: {first_line}; check REGAIN_DATABASE_URL") from error
    finally:
        database.dispose()


def _facts(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "daily_quota": key.daily_quota,
        "created": key.created,
        "revoked": key.revoked,
    }


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
