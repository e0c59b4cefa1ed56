"""The `regain` command's entry: one module a command, one error handler for all."""

from importlib.metadata import version
from typing import Annotated

import typer

from shared.errors import ClientError
from shared.registry import ModelError
from worker.cli.commands import LazyGroup
from worker.cli.console import CliError, err, fail

app = typer.Typer(
    name="regain",
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"regain {version('regain')}")
        raise typer.Exit


@app.callback()
def regain(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and leave")
    ] = False,
) -> None:
    """Give photos their HDR back."""


def run() -> None:
    """Run the command; every expected error becomes one sentence and an exit code."""
    try:
        app()
    except (CliError, ClientError, ModelError) as error:
        try:
            fail(str(error))
        except typer.Exit as leave:
            raise SystemExit(leave.exit_code) from None
    except KeyboardInterrupt:
        err.print("interrupted; finished photos are kept")
        raise SystemExit(130) from None


if __name__ == "__main__":
    run()
