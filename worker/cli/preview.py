"""`regain preview`: what an HDR screen would show, for people who have none."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from shared.imaging.photo import PhotoError
from shared.imaging.preview import preview as render
from shared.ultrahdr import UltraHdrError
from worker.cli.console import CliError, fail, out, read_input, write_atomically


def preview(
    file: Annotated[Path, typer.Argument(help="an Ultra HDR JPEG")],
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG to write")],
    stops: Annotated[float, typer.Option(min=0.0, max=8.0, help="headroom of the screen, in stops")] = 2.0,
) -> None:
    """Draw SDR and HDR side by side, tone-mapped for an SDR screen."""
    try:
        if output.resolve() == file.resolve():
            fail(f"{output}: is the input and is never written over; choose another name")
        write_atomically(output, render(read_input(file), stops))
    except (CliError, UltraHdrError, PhotoError) as error:
        fail(f"{error}" if str(error).startswith(str(file)) else f"{file}: {error}")
    out.print(f"[green]wrote[/] {escape(str(output))}")
