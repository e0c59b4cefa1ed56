"""The `regain` command's entry: one module a command, one error handler for all."""

import typer

from shared.registry import ModelError
from worker.cli.audit import audit
from worker.cli.compare import compare
from worker.cli.console import CliError, err, fail
from worker.cli.extract import extract
from worker.cli.model import model
from worker.cli.preview import preview
from worker.cli.restore import restore
from worker.cli.up import up
from worker.cli.worker import migrate, worker

app = typer.Typer(
    name="regain",
    help="Give photos their HDR back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(restore)
app.command()(audit)
app.command()(compare)
app.command()(extract)
app.command()(preview)
app.command()(up)
app.command()(worker)
app.command()(migrate)
app.add_typer(model, name="model")


def run() -> None:
    """Run the command; every expected error becomes one sentence and an exit code."""
    try:
        app()
    except (CliError, ModelError) as error:
        try:
            fail(str(error))
        except typer.Exit as leave:
            raise SystemExit(leave.exit_code) from None
    except KeyboardInterrupt:
        err.print("interrupted; finished photos are kept")
        raise SystemExit(130) from None


if __name__ == "__main__":
    run()
