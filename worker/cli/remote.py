"""`regain status`, `result`, `cancel` and `jobs`: what a service holds of ours."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from shared.client import Client, RemoteJob
from shared.jobs import JobStatus
from shared.settings import load_client_settings
from worker.cli.console import FAILED, CliError, err, out, print_json
from worker.cli.outputs import SUFFIX

ID_WIDTH = 32  # characters
_COLOURS = {JobStatus.SUCCEEDED: "green", JobStatus.FAILED: "bold red", JobStatus.DEAD: "bold red"}
_JobId = Annotated[str, typer.Argument(metavar="ID", help="a job's id, as `regain submit` printed it")]
_Json = Annotated[bool, typer.Option("--json", help="print as JSON")]


def status(
    job_id: _JobId,
    wait: Annotated[bool, typer.Option("--wait", help="wait until the job is final")] = False,
    as_json: _Json = False,
) -> None:
    """Say where a job stands; exit 1 if it ended without a result."""
    with _service() as client:
        job = client.get(job_id)
        if wait and not job.is_final:
            job = _watched(client, job)
    if as_json:
        print_json(dict(job.answer))
    else:
        _say(job)
    if job.is_final and job.status is not JobStatus.SUCCEEDED:
        raise typer.Exit(FAILED)


def result(
    job_id: _JobId,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="file; ID_hdr.jpg here if left out")] = None,
) -> None:
    """Write a job's finished file."""
    target = output or Path(Path(job_id).name + SUFFIX)
    if target.is_dir():
        raise CliError(f"{target}: is a folder; name the file to write, for example {target / 'photo_hdr.jpg'}")
    with (
        _service() as client,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        ) as progress,
    ):
        bar = progress.add_task(escape(target.name), total=None)
        client.download(job_id, target, on_bytes=lambda done, size: progress.update(bar, completed=done, total=size))
    out.print(f"[green]wrote[/] {escape(str(target))}")


def cancel(job_id: _JobId, as_json: _Json = False) -> None:
    """Call a job off that is not final yet."""
    with _service() as client:
        job = client.cancel(job_id)
    if as_json:
        print_json(dict(job.answer))
    else:
        _say(job)


def jobs(
    state: Annotated[JobStatus | None, typer.Option(help="only jobs in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, help="most jobs to list")] = 50,
    as_json: _Json = False,
) -> None:
    """List jobs, as the service orders them."""
    with _service() as client:
        found = list(islice(client.every(state), limit))
    if as_json:
        print_json([dict(job.answer) for job in found])
        return
    table = Table(box=None)
    table.add_column("id", min_width=ID_WIDTH, no_wrap=True)  # whole on any screen: it is what the others take
    for column in ("status", "done", "attempt", "model", "created"):
        table.add_column(column)
    for job in found:
        table.add_row(
            job.id, _coloured(job), f"{job.percent}%", str(job.attempt), escape(job.model), clock(job.created)
        )
    out.print(table)


def _service() -> Client:
    return Client.of(load_client_settings())


def _watched(client: Client, job: RemoteJob) -> RemoteJob:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), console=err, transient=True, disable=not err.is_terminal
    ) as progress:
        bar = progress.add_task(job.status.value, total=100)

        def show(news: RemoteJob) -> None:
            progress.update(bar, completed=news.percent, description=news.stage or news.status.value)

        return client.wait(job.id, poll=2, on_news=show)


def _say(job: RemoteJob) -> None:
    stage = f" · {job.stage}" if job.stage and not job.is_final else ""
    out.print(f"{_coloured(job)} {job.id} · {job.percent}%{stage} · attempt {job.attempt} · {escape(job.model)}")
    if job.error_message:
        err.print(f"[bold red]error[/]: {escape(job.error_message)} ({escape(job.error_code or '')})")


def _coloured(job: RemoteJob) -> str:
    colour = _COLOURS.get(job.status, "yellow")
    return f"[{colour}]{job.status}[/]"


def clock(seconds: float | None) -> str:
    """A time as tables show it; empty where there is none."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
