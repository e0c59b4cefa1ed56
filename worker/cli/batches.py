"""`regain batches`: what a service holds of our batches, and what may be done to them."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from shared.batches import BatchStatus
from shared.client import Client, RemoteBatch
from shared.settings import load_client_settings
from worker.backfill.batch import every
from worker.backfill.patience import Patience
from worker.cli.console import err, out, print_json
from worker.cli.follow import done, follow, said
from worker.cli.progress import span
from worker.cli.remote import ID_WIDTH, clock

COLOURS = {BatchStatus.COMPLETED: "green", BatchStatus.FAILED: "bold red", BatchStatus.CANCELED: "bold red"}
_BatchId = Annotated[str, typer.Argument(metavar="ID", help="a batch's id, as `regain backfill` printed it")]
_Json = Annotated[bool, typer.Option("--json", help="print as JSON")]

batches = typer.Typer(help="Batches of the service at REGAIN_URL.", no_args_is_help=True)


@batches.callback()
def group() -> None:
    """Batches of the service at REGAIN_URL."""


@batches.command("list")
def list_batches(
    status: Annotated[BatchStatus | None, typer.Option(help="only batches in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, help="most batches to list")] = 20,
    as_json: _Json = False,
) -> None:
    """List batches, newest first."""
    with service() as client:
        found = list(islice(every(client, status), limit))
    if as_json:
        print_json([dict(batch.answer) for batch in found])
        return
    table = Table(box=None)
    table.add_column("id", min_width=ID_WIDTH, no_wrap=True)
    for column in ("status", "done", "failed", "created", "name"):
        table.add_column(column)
    for batch in found:
        total = batch.counts.get("total", 0)
        failed = str(batch.counts.get("failed", 0))
        table.add_row(
            batch.id, _coloured(batch), f"{done(batch.counts)}/{total}", failed, clock(batch.created),
            escape(batch.name or ""),
        )  # fmt: skip
    out.print(table)


@batches.command()
def show(batch_id: _BatchId, as_json: _Json = False) -> None:
    """Say where a batch stands, and what its rows failed of."""
    with service() as client:
        _say(client.batch(batch_id), as_json=as_json)


@batches.command()
def pause(batch_id: _BatchId, as_json: _Json = False) -> None:
    """Let a batch start no further rows."""
    _change(Client.pause_batch, batch_id, as_json=as_json)


@batches.command()
def resume(batch_id: _BatchId, as_json: _Json = False) -> None:
    """Let a paused batch go on."""
    _change(Client.resume_batch, batch_id, as_json=as_json)


@batches.command()
def cancel(batch_id: _BatchId, as_json: _Json = False) -> None:
    """Call a batch off."""
    _change(Client.cancel_batch, batch_id, as_json=as_json)


@batches.command()
def rerun(batch_id: _BatchId, as_json: _Json = False) -> None:
    """Run the failed rows of a batch that has ended again."""
    _change(Client.rerun_batch, batch_id, as_json=as_json)


@batches.command()
def watch(
    batch_id: _BatchId,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="folder of the reports; this one if left out")
    ] = Path(),
) -> None:
    """Watch a batch to its end and write its reports; Ctrl-C leaves it alone. Exit 1 if a row failed."""
    patience = Patience(lambda text: err.print(escape(text)))
    with service() as client:
        again = f"`regain batches watch {batch_id}` watches it again"
        follow(client, patience, client.batch(batch_id), output, again)


def service() -> Client:
    """The service that the environment names."""
    return Client.of(load_client_settings())


def _change(call: Callable[[Client, str], RemoteBatch], batch_id: str, *, as_json: bool) -> None:
    with service() as client:
        _say(call(client, batch_id), as_json=as_json)


def _say(batch: RemoteBatch, *, as_json: bool) -> None:
    if as_json:
        print_json(dict(batch.answer))
        return
    left = f" · {span(batch.eta)} left" if batch.eta is not None and not batch.has_ended else ""
    counts = f"{done(batch.counts)} of {batch.counts.get('total', 0)} rows: {said(batch.counts)}"
    out.print(f"{_coloured(batch)} {batch.id} · {counts}{left} · {escape(batch.name or '')}")
    for failure in batch.answer.get("failures") or ():
        out.print(f"  {failure['count']} x {escape(str(failure['code']))}")
    if batch.error_message:
        err.print(f"[bold red]error[/]: {escape(batch.error_message)} ({escape(batch.error_code or '')})")


def _coloured(batch: RemoteBatch) -> str:
    colour = COLOURS.get(batch.status, "yellow")
    return f"[{colour}]{batch.status}[/]"
