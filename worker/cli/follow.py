"""Watching a batch of the service to its end, and writing what became of it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import typer
from rich.markup import escape

from shared.backfill.rows import SKIPPED, Outcome
from shared.batches import BatchStatus
from shared.client import Client, RemoteBatch
from worker.backfill.batch import watch
from worker.backfill.local import REPORT, SUMMARY
from worker.backfill.patience import Patience
from worker.cli.console import FAILED, err, fail, out
from worker.cli.progress import Bar

DETACHED: Final = 130  # exit code, as after Ctrl-C everywhere


def follow(client: Client, patience: Patience, batch: RemoteBatch, folder: Path, again: str) -> None:
    """Show a batch until it has ended, write its reports into a folder, and leave by its outcome.

    `again` says how to watch it after Ctrl-C, which leaves the batch alone.
    """
    try:
        with Bar(batch.counts.get("total")) as bar:
            batch = watch(client, patience, batch, lambda news: _show(bar, news))
    except KeyboardInterrupt:
        err.print(
            escape(f"batch {batch.id} goes on at the service; {again}, `regain batches cancel {batch.id}` calls it off")
        )
        raise typer.Exit(DETACHED) from None
    if batch.status is BatchStatus.FAILED:
        fail(f"batch {batch.id} failed: {batch.error_message or 'the service does not say why'}")
    for part, name in (("report", REPORT), ("summary", SUMMARY)):
        patience.ask(partial(client.download_batch_report, batch.id, folder / name, part))
    out.print(f"{done(batch.counts)} of {batch.counts.get('total', 0)} rows: {said(batch.counts)}")
    out.print(escape(f"{folder / REPORT} and {folder / SUMMARY} say what became of each"))
    if batch.status is BatchStatus.CANCELED or batch.counts.get(Outcome.FAILED) or batch.counts.get(Outcome.CANCELED):
        raise typer.Exit(FAILED)


def done(counts: Mapping[str, int]) -> int:
    """Rows with an outcome."""
    return sum(counts.get(outcome, 0) for outcome in Outcome)


def said(counts: Mapping[str, int]) -> str:
    """Outcomes and their numbers."""
    return " · ".join(f"{outcome} {counts[outcome]}" for outcome in Outcome if counts.get(outcome)) or "nothing done"


def _show(bar: Bar, batch: RemoteBatch) -> None:
    counts = batch.counts
    bar.state(batch.status.value, counts.get("total"))
    skipped = sum(counts.get(outcome, 0) for outcome in SKIPPED)
    bar.show(done(counts), counts.get(Outcome.FAILED, 0), skipped, batch.rate, batch.eta)
