"""A backfill of photos that the service reaches by itself, on the command line: find or make the batch, then watch."""

from dataclasses import fields
from pathlib import Path
from typing import Final

from rich.markup import escape

from shared.backfill.outputs import TEMPLATE
from shared.backfill.rows import BackfillError
from shared.client import Client
from shared.options import Options
from shared.settings import load_client_settings
from worker.backfill.batch import BUCKET, Asked, bucket_source, find_open
from worker.backfill.patience import Patience
from worker.cli.console import err, out
from worker.cli.follow import follow

PROBES: Final = 2  # attempts to reach the service before it has the batch


def asked_of(  # noqa: PLR0913  (a command line is made of these)
    source: str, output: str | None, options: Options, model: str | None, template: str, *, overwrite: bool
) -> tuple[Asked, Path]:
    """The batch of a command line, and the folder of its reports.

    Raises:
        BackfillError: a word about outputs without a bucket for them, or a source that names none.
    """
    chosen = {
        field.name: getattr(options, field.name)
        for field in fields(Options)
        if getattr(options, field.name) != field.default
    }
    if source.startswith(BUCKET):
        source = bucket_source(source)
    if output is not None and output.startswith(BUCKET):
        prefix = output.removeprefix(BUCKET).rstrip("/")
        return Asked(source, chosen, model, {"prefix": prefix, "template": template, "overwrite": overwrite}), Path()
    if template != TEMPLATE or overwrite:
        raise BackfillError(
            "no_output", "--template and --overwrite are of results in a bucket: give -o s3://bucket/prefix"
        )
    return Asked(source, chosen, model, None), Path(output or ".")


def run_batch(asked: Asked, folder: Path) -> None:
    """Hand a batch in, unless it is under way already, and watch it to its end."""
    patience = Patience(lambda text: err.print(escape(text)))
    settings = load_client_settings()
    with Client.of(settings, attempts=PROBES) as probe:
        batch = find_open(probe, asked)  # a wrong address or key shows here
    with Client.of(settings, patience.pause) as client:
        again = batch is not None
        batch = batch or asked.submit(client)
        out.print(
            escape(f"batch {batch.id} {'is under way already' if again else 'was accepted'} · {batch.name or ''}")
        )
        if asked.output is None:
            out.print("results stay with their jobs, for -o names no bucket: `regain result JOB`, by the report")
        follow(client, patience, batch, folder, "the same command watches it again")


def say_batch(asked: Asked, _folder: Path) -> None:
    """What `run_batch` would send."""
    settings = load_client_settings()
    with Client.of(settings, attempts=PROBES) as client:
        batch = find_open(client, asked)
    if batch is not None:
        out.print(escape(f"would watch batch {batch.id}, which was made of just this and is {batch.status}"))
        return
    out.print(escape(f"would submit {asked.source} to {settings.url} as a batch"))
    options = ", ".join(f"{name} {value}" for name, value in asked.options.items())
    out.print(escape(f"model: {asked.model or 'the default of the service'}; options: {options or 'defaults'}"))
    if asked.output is None:
        out.print("results would stay with their jobs")
    else:
        prefix, template = asked.output["prefix"], asked.output["template"]
        over = "written over" if asked.output["overwrite"] else "kept"
        out.print(escape(f"results would go to {BUCKET}{prefix}/{template}; what is there would be {over}"))
    out.print("nothing was sent")
