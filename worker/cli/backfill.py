"""`regain backfill`: a whole library, resumable by the same command."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shared.backfill.outputs import TEMPLATE, check_template
from shared.backfill.rows import BackfillError
from shared.errors import RestoreError
from shared.options import STRENGTH_MAX, STRENGTH_MIN, Options
from worker.backfill.batch import BUCKET, is_for_the_service
from worker.backfill.originals import is_laid_over, pair_with
from worker.backfill.plan import Plan
from worker.backfill.remote import WINDOW
from worker.cli.batch_run import asked_of, run_batch, say_batch
from worker.cli.console import USAGE, fail
from worker.cli.library import HereHand, ServiceHand, library_of, restore_library, say_forecast, say_pairs


def backfill(  # noqa: PLR0913, PLR0917  (typer reads the options off the signature)
    source: Annotated[str, typer.Argument(help="folder, manifest (.jsonl, .csv), or s3://bucket/… of either")],
    local: Annotated[bool, typer.Option("--local", help="restore on this machine, without the service")] = False,
    originals: Annotated[str | None, typer.Option(help="folder of HDR originals, to pair the edits with")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would happen, and how long it may take")] = False,
    include: Annotated[list[str] | None, typer.Option(help="glob of paths or names; several may be given")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="glob of what to leave out")] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="folder; SOURCE_hdr if left out; or s3://bucket/prefix")
    ] = None,
    template: Annotated[str, typer.Option(help="names of outputs: {dir} {stem} {name} {ext}")] = TEMPLATE,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="with --local: processes; one a core if left out")] = (
        os.cpu_count() or 1
    ),
    window: Annotated[int, typer.Option(min=1, max=1000, help="rows that the service has at a time")] = WINDOW,
    strength: Annotated[float, typer.Option(help=f"{STRENGTH_MIN:g} to {STRENGTH_MAX:g}; metadata alone")] = 1.0,
    max_headroom: Annotated[float | None, typer.Option(help="most stops above SDR white")] = None,
    model: Annotated[str | None, typer.Option(help="a name of `regain model list`")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="make a new map where there is one")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="write over outputs that are there")] = False,
) -> None:
    """Restore a whole library through the service at REGAIN_URL, or here with --local.

    The same command goes on where it was interrupted, and tries failed rows again.
    """
    try:
        options = Options(strength=strength, max_headroom=max_headroom, replace=replace)
        check_template(template)
        if source.startswith(BUCKET) or (Path(source).is_file() and is_for_the_service(Path(source))):
            if local:
                fail(f"--local restores files of this machine, and {source} is none: leave --local out", USAGE)
            if originals is not None:
                fail("--originals pairs files of this machine: name originals in a manifest's field `original`", USAGE)
            if include or exclude:
                fail("--include and --exclude narrow a folder of this machine: give a manifest instead", USAGE)
            asked, folder = asked_of(source, output, options, model, template, overwrite=overwrite)
            (say_batch if dry_run else run_batch)(asked, folder)
            return
        library = library_of(source, output, include or [], exclude or [])
        plan = Plan(library.base, library.output, template, asdict(options), overwrite, None)
        pairs = [] if originals is None else pair_with(Path(originals), library.base, library.rows(), is_laid_over)
        plan.originals = {pair.edit: pair.original for pair in pairs if pair.original is not None}
        if pairs:
            say_pairs(pairs)
        hand = HereHand(jobs, model) if local else ServiceHand(window, model)
        if dry_run:
            say_forecast(library, plan, hand)
        else:
            restore_library(library, plan, pairs, hand)
    except (RestoreError, BackfillError) as error:
        fail(str(error), USAGE)
