"""What every command shares: consoles, reading and writing files, and one way to fail."""

import json
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from shared.files import whole_file
from shared.imaging.limits import MAX_BYTES

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

FAILED = 1  # exit code: something that was asked for did not happen
USAGE = 2  # exit code: the command line is off


class CliError(Exception):
    """A message that names what, where and what to do."""


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say why on standard error and leave."""
    err.print(f"[bold red]error[/]: {escape(message)}")
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """Write a value to standard output as JSON, nothing else beside it."""
    typer.echo(json.dumps(value, indent=2))


def read_input(path: Path) -> bytes:
    """A photo's bytes.

    Raises:
        CliError: no such file, not a file, not readable, or larger than MAX_BYTES.
    """
    try:
        if path.is_dir():
            raise CliError(f"{path}: is a folder; name the photos in it, for example {path}/*.jpg")
        if path.stat().st_size > MAX_BYTES:
            raise CliError(f"{path}: larger than {MAX_BYTES >> 20} MiB; export a smaller file")
        return path.read_bytes()
    except FileNotFoundError:
        raise CliError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise CliError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and on the disk before its name is.

    Raises:
        CliError: the folder is missing, or not writable, or the disk is full.
    """
    try:
        with whole_file(path) as stream:
            stream.write(data)
    except OSError as error:
        raise CliError(f"{path}: cannot be written ({error.strerror}); choose another place with -o") from error
