"""`regain model`: which models there are, and how to get the authors'."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from shared.registry import Model, find_model, known_models
from shared.settings import load_settings
from worker.cli.console import err, fail, out, print_json
from worker.installer import install as install_source
from worker.installer import sources

model = typer.Typer(help="List, install and choose models.", no_args_is_help=True)


@model.command(name="list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False) -> None:
    """Show every model that can be used or installed."""
    settings = load_settings()
    chosen = find_model(settings.model, settings.models_dir).name
    known = known_models(settings.models_dir)
    rows = [
        {"name": m.name, "state": "in use" if m.name == chosen else "ready", "kind": m.kind.value, "licence": m.licence}
        for m in known.values()
    ]
    rows += [
        {"name": s.name, "state": "installable", "kind": "gmnet", "licence": s.licence}
        for s in sources().values()
        if s.name not in known
    ]
    if as_json:
        print_json(rows)
        return
    table = Table(box=None)
    for column in ("name", "state", "kind", "licence"):
        table.add_column(column)
    for row in rows:
        table.add_row(*row.values())
    out.print(table)


@model.command()
def info(name: Annotated[str | None, typer.Argument(help="a model's name; the one in use if left out")] = None) -> None:
    """Show a model's law, files, licence and provenance as JSON."""
    settings = load_settings()
    print_json(_facts(find_model(name or settings.model, settings.models_dir)))


@model.command()
def use(name: Annotated[str, typer.Argument(help="a name of `regain model list`")]) -> None:
    """Choose the model that `regain restore` uses where none is named."""
    settings = load_settings()
    found = find_model(name, settings.models_dir)
    for role in found.files:
        found.verified(role)
    settings.models_dir.mkdir(parents=True, exist_ok=True)
    (settings.models_dir / "default").write_text(found.name + "\n", encoding="utf-8")
    out.print(f"[green]in use[/] {escape(found.name)}")


@model.command()
def install(
    name: Annotated[str, typer.Argument(help="gmnet-realworld or gmnet-synthetic")],
    given: Annotated[
        Path | None, typer.Option("--from", help="a checkpoint file, for machines without a network")
    ] = None,
) -> None:
    """Fetch the authors' checkpoint, check its SHA-256, export it and register it."""
    known = sources()
    if name not in known:
        fail(f"no installable model named {name!r}; known: {', '.join(sorted(known))}")
    settings = load_settings()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=err, transient=True
    ) as progress:
        bar = progress.add_task(f"fetching {name}", total=None)
        install_source(
            known[name],
            settings.models_dir,
            given,
            lambda done, total: progress.update(bar, completed=done, total=total),
        )
    out.print(f"[green]installed[/] {escape(name)}; choose it with `regain model use {escape(name)}`")


def _facts(found: Model) -> dict[str, object]:
    return {
        "name": found.name,
        "kind": found.kind.value,
        "law": f"stops = {found.peak:g} * clip(output, 0, 1)",
        "input": f"{found.scale:g} of the photo's sides" if found.scale else f"{found.long_side} px on the long side",
        "licence": found.licence,
        "provenance": found.provenance,
        "files": {role: {"path": str(file.path), "sha256": file.sha256} for role, file in found.files.items()},
    }
