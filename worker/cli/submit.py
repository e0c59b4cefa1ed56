"""`regain submit`: hand photos to a service, and wait for the results if wanted."""

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from shared.client import POLL_PAUSE, Client, RemoteJob
from shared.errors import ClientError, RestoreError
from shared.jobs import JobStatus
from shared.options import STRENGTH_MAX, STRENGTH_MIN, Options
from shared.settings import load_client_settings
from worker.cli.console import FAILED, USAGE, err, fail, out, print_json
from worker.cli.outputs import plan

NEWS = 2  # seconds that one poll is held while a bar shows: how old a bar may be
WATCHED = 4  # jobs that are polled at once; the queue is first in, first out, so the oldest move first


@dataclass(slots=True)
class Entry:
    """One photo of the command line, its job once there is one, and what became of it."""

    photo: Path
    target: Path | None
    job: RemoteJob | None = None
    output: Path | None = None
    error: dict[str, str] | None = None

    def report(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {
            "file": str(self.photo),
            "output": None if self.output is None else str(self.output),
            "error": self.error,
            "job": None if self.job is None else dict(self.job.answer),
        }


def submit(  # noqa: PLR0913, PLR0917  (typer reads the options off the signature)
    photos: Annotated[list[Path], typer.Argument(help="JPEG, PNG, WebP, TIFF, HEIC or AVIF files")],
    original: Annotated[Path | None, typer.Option(help="the HDR original of one photo, to take the map from")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="file for one photo, folder for many; waits for the results")
    ] = None,
    strength: Annotated[float, typer.Option(help=f"{STRENGTH_MIN:g} to {STRENGTH_MAX:g}; metadata alone")] = 1.0,
    max_headroom: Annotated[float | None, typer.Option(help="most stops above SDR white")] = None,
    model: Annotated[str | None, typer.Option(help="a model of the service; its default if left out")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="make a new map where there is one")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="wait until every job is final")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the jobs as JSON")] = False,
) -> None:
    """Submit photos to the service at REGAIN_URL; print job ids, or with -o write the results."""
    try:
        options = Options(strength=strength, max_headroom=max_headroom, replace=replace)
    except RestoreError as error:
        fail(str(error), USAGE)
    if original is not None and len(photos) > 1:
        fail("--original belongs to one photo; submit the photos one by one", USAGE)
    entries = (
        [Entry(photo, None) for photo in photos]
        if output is None
        else [Entry(task.photo, task.output) for task in plan(photos, output)]
    )
    with Client.of(load_client_settings()) as client, _bars(len(entries)) as progress:
        bars = {
            index: progress.add_task(escape(entry.photo.name), total=100, state="waits")
            for index, entry in enumerate(entries)
        }
        for index, entry in enumerate(entries):
            _hand_in(client, entry, original, _asked(options), model)
            _show(progress, bars[index], entry)
            if not (wait or output or as_json):
                _say(entry)
        if wait or output:
            _follow(client, entries, progress, bars, quiet=as_json)
    if as_json:
        print_json([entry.report() for entry in entries])
    if any(entry.error for entry in entries):
        raise typer.Exit(FAILED)


def _asked(options: Options) -> dict[str, Any]:
    """What differs from the service's defaults, so that nothing is sent that an older service does not know."""
    defaults = Options()
    names = ("strength", "max_headroom", "replace")
    return {name: getattr(options, name) for name in names if getattr(options, name) != getattr(defaults, name)}


def _hand_in(client: Client, entry: Entry, original: Path | None, options: dict[str, Any], model: str | None) -> None:
    try:
        entry.job = client.submit(entry.photo, original=original, options=options, model=model)
    except ClientError as error:
        if error.status in {0, 401, 403} and error.code != "file":
            raise  # the next photo would fare no better
        entry.error = {"code": error.code, "message": f"{entry.photo}: {error}"}


def _follow(client: Client, entries: list[Entry], progress: Progress, bars: dict[int, TaskID], *, quiet: bool) -> None:
    waiting = deque(index for index, entry in enumerate(entries) if entry.job is not None)
    for index, entry in enumerate(entries):
        if index not in waiting and not quiet:
            _say(entry)
    try:
        while waiting:
            began = time.monotonic()
            for place, index in enumerate(list(waiting)[:WATCHED]):
                if _finished(client, entries[index], NEWS if place == 0 else 0):
                    waiting.remove(index)
                    if not quiet:
                        _say(entries[index])
                _show(progress, bars[index], entries[index])
            time.sleep(max(0.0, POLL_PAUSE - (time.monotonic() - began)))
    except (ClientError, KeyboardInterrupt):
        for index in waiting:
            if (job := entries[index].job) is not None:
                err.print(f"goes on: {job.id} {escape(str(entries[index].photo))}")
        raise


def _finished(client: Client, entry: Entry, news: int) -> bool:
    if entry.job is not None and not entry.job.is_final:
        entry.job = client.get(entry.job.id, wait=news)
    if entry.job is None or not entry.job.is_final:
        return False
    _close(client, entry, entry.job)
    return True


def _close(client: Client, entry: Entry, job: RemoteJob) -> None:
    if job.status is not JobStatus.SUCCEEDED:
        why = job.error_message or f"the job ended {job.status}"
        entry.error = {"code": job.error_code or job.status.value, "message": f"{entry.photo}: {why}"}
    elif entry.target is not None:
        try:
            client.download(job.id, entry.target)
            entry.output = entry.target
        except ClientError as error:
            entry.error = {"code": error.code, "message": f"{entry.photo}: {error}"}


def _bars(count: int) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% {task.fields[state]}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal or count > err.height,
    )


def _show(progress: Progress, bar: TaskID, entry: Entry) -> None:
    if entry.job is None:
        progress.update(bar, state="refused")
        return
    state = entry.job.stage or entry.job.status.value
    progress.update(bar, completed=100 if entry.job.is_final else entry.job.percent, state=state)


def _say(entry: Entry) -> None:
    if entry.error is not None:
        err.print(f"[bold red]error[/]: {escape(entry.error['message'])}")
    elif entry.job is not None:
        where = f" -> {escape(str(entry.output))}" if entry.output else ""
        again = " (stored result)" if entry.job.deduplicated else ""
        out.print(f"[green]{entry.job.status}[/] {entry.job.id} {escape(str(entry.photo))}{where}{again}")
