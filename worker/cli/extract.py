"""`regain extract`: take an Ultra HDR file apart."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from shared.ultrahdr import UltraHdrError, parse
from worker.cli.console import CliError, fail, out, read_input, write_atomically


def extract(
    file: Annotated[Path, typer.Argument(help="an Ultra HDR JPEG")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder for the parts")],
) -> None:
    """Write the base, the gain map and the metadata (JSON) of a file into a folder."""
    try:
        parsed = parse(read_input(file))
        if parsed.gain_map is None:
            fail(f"{file}: has no gain map to extract; `regain restore` makes one")
        parts = {
            f"{file.stem}_base.jpg": parsed.primary,
            f"{file.stem}_gainmap.jpg": parsed.gain_map,
        }
        if parsed.metadata is not None and parsed.source is not None:
            metadata = {"source": parsed.source.value, **parsed.metadata.to_json()}
            parts[f"{file.stem}_metadata.json"] = (json.dumps(metadata, indent=2) + "\n").encode()
        for name, data in parts.items():
            write_atomically(output / name, data)
            out.print(f"[green]wrote[/] {escape(str(output / name))}")
    except UltraHdrError as error:
        fail(f"{file}: {error}")
    except CliError as error:
        fail(str(error))
