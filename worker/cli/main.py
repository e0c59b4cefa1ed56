"""The `regain` command's entry: one module a command, one error handler for all."""

import typer

from shared.client import ClientError
from shared.registry import ModelError
from worker.cli.audit import audit
from worker.cli.backfill import backfill
from worker.cli.batches import batches
from worker.cli.compare import compare
from worker.cli.console import CliError, err, fail
from worker.cli.extract import extract
from worker.cli.keys import keys
from worker.cli.model import model
from worker.cli.preview import preview
from worker.cli.remote import cancel, jobs, result, status
from worker.cli.restore import restore
from worker.cli.submit import submit
from worker.cli.up import up
from worker.cli.webhooks import webhooks
from worker.cli.worker import migrate, worker

app = typer.Typer(
    name="regain",
    help="Give photos their HDR back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(restore)
app.command()(backfill)
app.command()(audit)
app.command()(compare)
app.command()(extract)
app.command()(preview)
app.command()(up)
app.command()(worker)
app.command()(migrate)
for command in (submit, status, result, cancel, jobs):
    app.command(rich_help_panel="A service at REGAIN_URL")(command)
app.add_typer(model, name="model")
app.add_typer(batches, name="batches")
app.add_typer(webhooks, name="webhooks")
app.add_typer(keys, name="keys")


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
