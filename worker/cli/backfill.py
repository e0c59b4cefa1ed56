"""`regain backfill`: a whole library, resumable by the same command."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import typer
from rich.markup import escape

from shared.backfill.journal import Journal
from shared.backfill.listing import list_folder
from shared.backfill.manifest import form_of, read_manifest
from shared.backfill.outputs import TEMPLATE, check_template
from shared.backfill.pairing import Pair
from shared.backfill.rows import BackfillError, BadRow, Outcome, Row
from shared.backfill.tally import Tally
from shared.client import Client
from shared.errors import RestoreError
from shared.files import whole_file
from shared.options import STRENGTH_MAX, STRENGTH_MIN, Options
from shared.registry import Model, find_model
from shared.settings import load_client_settings, load_settings
from worker.backfill.forecast import Forecast, forecast
from worker.backfill.local import REPORT, SUMMARY, run
from worker.backfill.originals import is_laid_over, pair_with
from worker.backfill.patience import Patience
from worker.backfill.plan import Plan
from worker.backfill.pool import Pool
from worker.backfill.processes import Processes
from worker.backfill.remote import WINDOW, Remote
from worker.cli.console import FAILED, USAGE, err, fail, out
from worker.cli.progress import Bar, span
from worker.predictors import Predictor, make_predictor

PROBES: Final = 2  # attempts to reach the service before a run begins; within it there is more patience
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
    local: Annotated[bool, typer.Option("--local", help="restore on this machine, without the service")] = False,
    originals: Annotated[Path | None, typer.Option(help="folder of HDR originals, to pair the edits with")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would happen, and how long it may take")] = False,
    include: Annotated[list[str] | None, typer.Option(help="glob of paths or names; several may be given")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="glob of what to leave out")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="folder; SOURCE_hdr if left out")] = None,
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
        library = _library(source, output, include or [], exclude or [])
        plan = Plan(library.base, library.output, check_template(template), asdict(options), overwrite, None)
        pairs = [] if originals is None else pair_with(originals, library.base, library.rows(), is_laid_over)
        plan.originals = {pair.edit: pair.original for pair in pairs if pair.original is not None}
        if pairs:
            _say_pairs(pairs)
        hand = _Processes(jobs, model) if local else _Service(window, model)
        if dry_run:
            _say_forecast(library, plan, hand)
            return
        _run(library, plan, pairs, hand)
    except (RestoreError, BackfillError) as error:
        fail(str(error), USAGE)


class _Hand(Protocol):
    """Who restores, and what a run and a dry run need to know of it."""

    def about(self) -> dict[str, Any]:
        """What the journal must find unchanged. Faults of the command show here, before anything is written."""

    def pool(self) -> Pool:
        """What the rows are handed to."""

    def predictor(self) -> Predictor | None:
        """What a dry run measures with."""

    def said(self, found: Forecast) -> str:
        """A dry run's last word."""


@dataclass(frozen=True, slots=True)
class _Processes:
    """This machine."""

    jobs: int
    model: str | None

    def about(self) -> dict[str, Any]:
        return {"model": self._chosen().name}

    def pool(self) -> Pool:
        return Processes(self.jobs, self.model)

    def predictor(self) -> Predictor | None:
        settings = load_settings()
        return make_predictor(self._chosen(), settings.threads, settings.network_long_side, settings.backend)

    def said(self, found: Forecast) -> str:
        if found.seconds_each is None:
            return "nothing was written"
        # Measured with every core on one photo; processes side by side share the same cores.
        seconds = found.seconds_each * found.to_restore
        return f"may take {span(seconds)} at {self.jobs} processes; nothing was written"

    def _chosen(self) -> Model:
        settings = load_settings()
        return find_model(self.model or settings.model, settings.models_dir)


@dataclass(frozen=True, slots=True)
class _Service:
    """The service at REGAIN_URL."""

    window: int
    model: str | None

    def about(self) -> dict[str, Any]:
        with Client.of(load_client_settings(), attempts=PROBES) as client:
            client.list()  # a wrong address or key shows here, not at every row
        return {"model": self.model, "through": "service"}

    def pool(self) -> Pool:
        settings = load_client_settings()
        patience = Patience(lambda text: err.print(escape(text)))
        return Remote(lambda sleep: Client.of(settings, sleep), patience, self.model, self.window)

    def predictor(self) -> Predictor | None:
        return None

    def said(self, found: Forecast) -> str:
        return f"{found.to_restore} photos would go to {load_client_settings().url}; nothing was sent or written"


def _run(library: _Library, plan: Plan, pairs: list[Pair], hand: _Hand) -> None:
    about = {"source": str(library.base), "template": plan.template, "options": dict(plan.options), **hand.about()}
    tally = Tally(total=sum(1 for _ in library.rows()))
    with Journal(library.output, about, afresh=plan.overwrite) as journal:
        plan.journal = journal
        if pairs:
            with whole_file(library.output / PAIRS) as stream:
                stream.writelines(json.dumps(asdict(pair)).encode() + b"\n" for pair in pairs)
        pool = hand.pool()
        try:
            with Bar(tally.total) as bar:
                run(library.rows(), plan, journal, pool, bar.tell, tally)
        finally:
            pool.close()
            _say_end(tally, library.output)
    if tally.failed or tally.counts[Outcome.CANCELED]:
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


def _say_end(tally: Tally, folder: Path) -> None:
    counts = " · ".join(f"{outcome.value} {tally.counts[outcome]}" for outcome in Outcome if tally.counts[outcome])
    out.print(f"{tally.done} of {tally.total} rows: {counts or 'nothing done'}")
    out.print(escape(f"{folder / REPORT} and {folder / SUMMARY} say what became of each"))


def _say_pairs(pairs: list[Pair]) -> None:
    unsure = [pair for pair in pairs if pair.candidates]
    out.print(f"{sum(pair.original is not None for pair in pairs)} of {len(pairs)} edits found their original")
    for pair in unsure:
        out.print(f"[yellow]unsure[/] {escape(pair.edit)}: {escape(', '.join(pair.candidates))}")


def _say_forecast(library: _Library, plan: Plan, hand: _Hand) -> None:
    hand.about()
    found = forecast(library.rows(), plan, hand.predictor())
    for report in found.failures[:SAID_FAILURES]:
        out.print(f"[red]would fail[/] {escape(report.error_message or '')}")
    counts = " · ".join(f"{outcome.value} {number}" for outcome, number in found.others.items())
    out.print(f"would restore {found.to_restore} into {escape(str(library.output))}{counts and ' · ' + counts}")
    out.print(escape(hand.said(found)))
