"""A backfill of files of this machine, on the command line: by its own processes, or through the service."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import typer
from rich.markup import escape

from shared.backfill.journal import Journal
from shared.backfill.listing import list_folder
from shared.backfill.manifest import form_of, read_manifest
from shared.backfill.pairing import Pair
from shared.backfill.rows import BackfillError, BadRow, Outcome, Row
from shared.backfill.tally import Tally
from shared.client import Client
from shared.files import whole_file
from shared.registry import Model, find_model
from shared.settings import load_client_settings, load_settings
from worker.backfill.batch import BUCKET
from worker.backfill.forecast import Forecast, forecast
from worker.backfill.local import REPORT, SUMMARY, run
from worker.backfill.patience import Patience
from worker.backfill.plan import Plan
from worker.backfill.pool import Pool
from worker.backfill.processes import Processes
from worker.backfill.remote import Remote
from worker.cli.console import FAILED, err, out
from worker.cli.progress import Bar, span
from worker.predictors import Predictor, make_predictor

PROBES: Final = 2  # attempts to reach the service before a run begins; within it there is more patience
PAIRS: Final = "backfill-pairs.jsonl"
SAID_FAILURES: Final = 20  # of a dry run; the rest is counted


@dataclass(frozen=True, slots=True)
class Library:
    """Where rows come from; `rows` begins anew at each call."""

    base: Path
    output: Path
    rows: Callable[[], Iterator[Row | BadRow]]


class Hand(Protocol):
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
class HereHand:
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
class ServiceHand:
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


def restore_library(library: Library, plan: Plan, pairs: list[Pair], hand: Hand) -> None:
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


def library_of(name: str, to: str | None, include: list[str], exclude: list[str]) -> Library:
    """A folder or manifest of this machine by its name.

    Raises:
        BackfillError: there is none, or outputs are to go elsewhere.
    """
    if to is not None and to.startswith(BUCKET):
        raise BackfillError("bad_output", f"-o {to}: files of this machine go to a folder of it; name one")
    source = Path(name)
    where = source.resolve().with_name(f"{source.resolve().stem}_hdr") if to is None else Path(to)
    if source.is_dir():
        return Library(source.resolve(), where, lambda: list_folder(source, include, exclude, where))
    if not source.is_file():
        raise BackfillError("no_such_file", f"{source}: no such folder or manifest; check the name")
    form = form_of(source.name)

    def rows() -> Iterator[Row | BadRow]:
        with source.open("rb") as stream:
            yield from read_manifest(stream, form)

    return Library(source.resolve().parent, where, rows)


def _say_end(tally: Tally, folder: Path) -> None:
    counts = " · ".join(f"{outcome.value} {tally.counts[outcome]}" for outcome in Outcome if tally.counts[outcome])
    out.print(f"{tally.done} of {tally.total} rows: {counts or 'nothing done'}")
    out.print(escape(f"{folder / REPORT} and {folder / SUMMARY} say what became of each"))


def say_pairs(pairs: list[Pair]) -> None:
    unsure = [pair for pair in pairs if pair.candidates]
    out.print(f"{sum(pair.original is not None for pair in pairs)} of {len(pairs)} edits found their original")
    for pair in unsure:
        out.print(f"[yellow]unsure[/] {escape(pair.edit)}: {escape(', '.join(pair.candidates))}")


def say_forecast(library: Library, plan: Plan, hand: Hand) -> None:
    hand.about()
    found = forecast(library.rows(), plan, hand.predictor())
    for report in found.failures[:SAID_FAILURES]:
        out.print(f"[red]would fail[/] {escape(report.error_message or '')}")
    counts = " · ".join(f"{outcome.value} {number}" for outcome, number in found.others.items())
    out.print(f"would restore {found.to_restore} into {escape(str(library.output))}{counts and ' · ' + counts}")
    out.print(escape(hand.said(found)))
