"""`regain backfill`: a whole library, resumable by the same command."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from shared.backfill.journal import Journal
from shared.backfill.listing import list_folder
from shared.backfill.manifest import form_of, read_manifest
from shared.backfill.outputs import TEMPLATE, check_template
from shared.backfill.pairing import Pair
from shared.backfill.rows import BackfillError, BadRow, Outcome, Row
from shared.backfill.tally import Tally
from shared.errors import RestoreError
from shared.files import whole_file
from shared.options import STRENGTH_MAX, STRENGTH_MIN, Options
from shared.registry import find_model
from shared.settings import load_settings
from worker.backfill.forecast import forecast
from worker.backfill.local import REPORT, SUMMARY, run
from worker.backfill.originals import is_laid_over, pair_with
from worker.backfill.plan import Plan
from worker.backfill.processes import Processes
from worker.cli.console import FAILED, USAGE, err, fail, out
from worker.predictors import make_predictor

PAIRS = "backfill-pairs.jsonl"
SAID_FAILURES = 20  # of a dry run; the rest is counted


@dataclass(frozen=True, slots=True)
class _Library:
    """Where rows come from; `rows` begins anew at each call."""

    base: Path
    output: Path
    rows: Callable[[], Iterator[Row | BadRow]]


def backfill(  # noqa: PLR0913, PLR0917  (typer reads the options off the signature)
    source: Annotated[Path, typer.Argument(help="folder, or manifest (.jsonl, .csv)")],
    local: Annotated[bool, typer.Option("--local", help="restore on this machine, without any service")] = False,
    originals: Annotated[Path | None, typer.Option(help="folder of HDR originals, to pair the edits with")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would happen, and how long it may take")] = False,
    include: Annotated[list[str] | None, typer.Option(help="glob of paths or names; several may be given")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="glob of what to leave out")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="folder; SOURCE_hdr if left out")] = None,
    template: Annotated[str, typer.Option(help="names of outputs: {dir} {stem} {name} {ext}")] = TEMPLATE,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="processes; one a core if left out")] = os.cpu_count() or 1,
    strength: Annotated[float, typer.Option(help=f"{STRENGTH_MIN:g} to {STRENGTH_MAX:g}; metadata alone")] = 1.0,
    max_headroom: Annotated[float | None, typer.Option(help="most stops above SDR white")] = None,
    model: Annotated[str | None, typer.Option(help="a name of `regain model list`")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="make a new map where there is one")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="write over outputs that are there")] = False,
) -> None:
    """Restore a whole library. The same command goes on where it was interrupted, and tries failed rows again."""
    if not local:
        fail("a library is restored on this machine alone so far: add --local", USAGE)
    try:
        options = Options(strength=strength, max_headroom=max_headroom, replace=replace)
        library = _library(source, output, include or [], exclude or [])
        plan = Plan(library.base, library.output, check_template(template), asdict(options), overwrite, None)
        pairs = [] if originals is None else pair_with(originals, library.base, library.rows(), is_laid_over)
        plan.originals = {pair.edit: pair.original for pair in pairs if pair.original is not None}
        if pairs:
            _say_pairs(pairs)
        if dry_run:
            _say_forecast(library, plan, model, jobs)
            return
        _run(library, plan, pairs, jobs, model)
    except (RestoreError, BackfillError) as error:
        fail(str(error), USAGE)


def _run(library: _Library, plan: Plan, pairs: list[Pair], jobs: int, model: str | None) -> None:
    settings = load_settings()
    chosen = find_model(model or settings.model, settings.models_dir)  # a fault shows here, not in every process
    tally = Tally(total=sum(1 for _ in library.rows()))
    about = {
        "source": str(library.base),
        "template": plan.template,
        "options": dict(plan.options),
        "model": chosen.name,
    }
    with Journal(library.output, about, afresh=plan.overwrite) as journal:
        plan.journal = journal
        if pairs:
            with whole_file(library.output / PAIRS) as stream:
                stream.writelines(json.dumps(asdict(pair)).encode() + b"\n" for pair in pairs)
        pool = Processes(jobs, model)
        try:
            with _Bar(tally) as tell:
                run(library.rows(), plan, journal, pool, tell, tally)
        finally:
            pool.close()
            _say_end(tally, library.output)
    if tally.failed:
        raise typer.Exit(FAILED)


def _library(source: Path, output: Path | None, include: list[str], exclude: list[str]) -> _Library:
    where = output or source.resolve().with_name(f"{source.resolve().stem}_hdr")
    if source.is_dir():
        return _Library(source.resolve(), where, lambda: list_folder(source, include, exclude, where))
    if not source.is_file():
        raise BackfillError("no_such_file", f"{source}: no such folder or manifest; check the name")
    form = form_of(source.name)

    def rows() -> Iterator[Row | BadRow]:
        with source.open("rb") as stream:
            yield from read_manifest(stream, form)

    return _Library(source.resolve().parent, where, rows)


class _Bar:
    """A line that shows done, failed, skipped, rate and time left."""

    def __init__(self, tally: Tally) -> None:
        self._progress = Progress(
            TextColumn("restoring"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._task = self._progress.add_task("restoring", total=tally.total, said="")

    def __enter__(self) -> Callable[[Tally], None]:
        self._progress.start()
        return self.tell

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, tally: Tally) -> None:
        """Show the counts."""
        now = time.monotonic()
        rate, eta = tally.rate(now), tally.eta(now)
        said = f"failed {tally.failed} · skipped {tally.skipped}"
        if rate is not None and eta is not None:
            said += f" · {rate:.2f}/s · {_span(eta)} left"
        self._progress.update(self._task, completed=tally.done, said=said)


def _say_end(tally: Tally, folder: Path) -> None:
    counts = " · ".join(f"{outcome.value} {tally.counts[outcome]}" for outcome in Outcome if tally.counts[outcome])
    out.print(f"{tally.done} of {tally.total} rows: {counts or 'nothing done'}")
    out.print(escape(f"{folder / REPORT} and {folder / SUMMARY} say what became of each"))


def _say_pairs(pairs: list[Pair]) -> None:
    unsure = [pair for pair in pairs if pair.candidates]
    out.print(f"{sum(pair.original is not None for pair in pairs)} of {len(pairs)} edits found their original")
    for pair in unsure:
        out.print(f"[yellow]unsure[/] {escape(pair.edit)}: {escape(', '.join(pair.candidates))}")


def _say_forecast(library: _Library, plan: Plan, model: str | None, jobs: int) -> None:
    settings = load_settings()
    chosen = find_model(model or settings.model, settings.models_dir)
    predictor = make_predictor(chosen, settings.threads, settings.network_long_side, settings.backend)
    found = forecast(library.rows(), plan, predictor)
    for report in found.failures[:SAID_FAILURES]:
        out.print(f"[red]would fail[/] {escape(report.error_message or '')}")
    counts = " · ".join(f"{outcome.value} {number}" for outcome, number in found.others.items())
    out.print(f"would restore {found.to_restore} into {escape(str(library.output))}{counts and ' · ' + counts}")
    if found.seconds_each is not None:
        # Measured with every core on one photo; processes side by side share the same cores.
        out.print(f"may take {_span(found.seconds_each * found.to_restore)} at {jobs} processes; nothing was written")


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
