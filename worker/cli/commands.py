"""Which module holds which command, loaded when it is asked for: the libraries of one are seconds to the next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

SERVICE: Final = "A service at REGAIN_URL"


@dataclass(frozen=True, slots=True)
class Place:
    """`name` of `module` below this package: a function, or a Typer of further commands."""

    module: str
    name: str
    panel: str | None = None


COMMANDS: Final = {
    "restore": Place("restore", "restore"),
    "backfill": Place("backfill", "backfill"),
    "audit": Place("audit", "audit"),
    "compare": Place("compare", "compare"),
    "extract": Place("extract", "extract"),
    "preview": Place("preview", "preview"),
    "up": Place("up", "up"),
    "worker": Place("worker", "worker"),
    "migrate": Place("worker", "migrate"),
    "model": Place("model", "model"),
    "keys": Place("keys", "keys"),
    "webhooks": Place("webhooks", "webhooks"),
    "submit": Place("submit", "submit", SERVICE),
    "status": Place("remote", "status", SERVICE),
    "result": Place("remote", "result", SERVICE),
    "cancel": Place("remote", "cancel", SERVICE),
    "jobs": Place("remote", "jobs", SERVICE),
    "batches": Place("batches", "batches", SERVICE),
}


class Commands(Mapping[str, Any]):
    """The commands by name; to list the names loads none of them."""

    def __getitem__(self, name: str) -> Any:
        return load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(TyperGroup):
    """A group over `COMMANDS`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()  # type: ignore[assignment]  # nobody adds to it

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  (the library's signature)
        """Every name, in the order of the help."""
        return list(self.commands)


@cache
def load(name: str) -> Any:
    """Import a command's module and make the command.

    Raises:
        KeyError: there is none of that name.
    """
    place = COMMANDS[name]
    found = getattr(import_module(f"worker.cli.{place.module}"), place.name)
    if isinstance(found, typer.Typer):
        command: Any = get_group(found)
    else:
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
        alone.command()(found)
        command = get_command(alone)
    command.name, command.rich_help_panel = name, place.panel
    return command
