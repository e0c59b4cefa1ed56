"""`regain restore`: flat photos in, Ultra HDR JPEGs out."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shared.errors import RestoreError
from shared.options import STRENGTH_MAX, STRENGTH_MIN, MetadataOf, Options, WrongOriginal
from shared.registry import find_model
from shared.settings import load_settings
from worker.cli.console import FAILED, USAGE, CliError, err, fail, out, print_json, read_input, write_atomically
from worker.cli.outputs import Task, plan
from worker.pipeline import Outcome, Result
from worker.pipeline import restore as restore_photo
from worker.predictors import Predictor, make_predictor


def restore(  # noqa: PLR0913, PLR0917  (typer reads the options off the signature)
    photos: Annotated[list[Path], typer.Argument(help="JPEG, PNG, WebP, TIFF, HEIC or AVIF files")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="file for one photo, folder for many")] = None,
    strength: Annotated[float, typer.Option(help=f"{STRENGTH_MIN:g} to {STRENGTH_MAX:g}; metadata alone")] = 1.0,
    max_headroom: Annotated[float | None, typer.Option(help="most stops above SDR white")] = None,
    model: Annotated[str | None, typer.Option(help="a name of `regain model list`")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="make a new map where there is one")] = False,
    original: Annotated[Path | None, typer.Option(help="the HDR photo that was edited: its map is given back")] = None,
    metadata: Annotated[MetadataOf, typer.Option(help="with --original: whose camera data")] = MetadataOf.EDIT,
    min_confidence: Annotated[float, typer.Option(help="with --original: 0 to 1; below, it is wrong")] = 0.0,
    on_wrong_original: Annotated[WrongOriginal, typer.Option(help="what then")] = WrongOriginal.REFUSE,
    as_json: Annotated[bool, typer.Option("--json", help="print the results as JSON")] = False,
) -> None:
    """Predict a gain map for each photo and write an Ultra HDR JPEG, never over the input."""
    try:
        options = Options(strength, max_headroom, replace, metadata, min_confidence, on_wrong_original)
    except RestoreError as error:
        fail(str(error), USAGE)
    if original is not None and len(photos) > 1:
        fail("--original belongs to one photo; restore the others apart", USAGE)
    source = None if original is None else read_input(original)
    tasks = plan(photos, output)
    settings = load_settings()
    predictor = make_predictor(
        find_model(model or settings.model, settings.models_dir),
        settings.threads,
        settings.network_long_side,
        settings.backend,
    )
    reports = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=len(tasks) == 1 or not err.is_terminal,
    ) as progress:
        for task in progress.track(tasks, description="restoring"):
            report = _one(task, predictor, options, source)
            reports.append(report)
            if not as_json:
                _say(report)
    if as_json:
        print_json(reports)
    if any(report["error"] for report in reports):
        raise typer.Exit(FAILED)


def _one(task: Task, predictor: Predictor, options: Options, original: bytes | None) -> dict[str, Any]:
    report: dict[str, Any] = {"file": str(task.photo), "outcome": "failed", "output": None, "error": None}
    try:
        result = restore_photo(read_input(task.photo), predictor, options, original=original)
        if result.outcome is Outcome.RESTORED:
            write_atomically(task.output, result.data)
            report["output"] = str(task.output)
        return report | _summary(result)
    except CliError as error:
        return report | {"error": {"code": "file", "message": str(error)}}
    except RestoreError as error:
        return report | {"error": {"code": error.code, "message": f"{task.photo}: {error}"}}


def _summary(result: Result) -> dict[str, Any]:
    return {
        "outcome": result.outcome.value,
        "model": result.model,
        "metadata": result.metadata.to_json() if result.metadata else None,
        "guided": None if result.guided is None else result.guided.to_json(),
        "notes": list(result.notes),
        "timings": result.timings,
    }


def _say(report: dict[str, Any]) -> None:
    if report["error"]:
        err.print(f"[bold red]error[/]: {escape(report['error']['message'])}")
        return
    notes = "".join(f" ({note})" for note in report["notes"])
    if report["outcome"] == Outcome.UNCHANGED:
        out.print(f"[yellow]unchanged[/] {escape(report['file'] + notes)}; --replace makes a new map")
        return
    guided = report["guided"]
    if guided is not None and guided["reason"] is None:
        notes += f" ({guided['transferred']:.0%} of the map is the original's own)"
    peak = report["metadata"]["gain_map_max"]
    out.print(f"[green]restored[/] {escape(report['output'] + notes)} · up to {_stops(peak)} stops above SDR white")


def _stops(peak: float | list[float]) -> str:
    return f"{max(peak) if isinstance(peak, list) else peak:.2f}"
