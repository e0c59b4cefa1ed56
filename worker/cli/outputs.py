"""Where the results of `restore` and `submit` go, worked out before the first is made."""

from dataclasses import dataclass
from pathlib import Path

from worker.cli.console import CliError

SUFFIX = "_hdr.jpg"  # of the file that is written beside its input


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to restore and where its result goes."""

    photo: Path
    output: Path


def plan(photos: list[Path], output: Path | None) -> list[Task]:
    """Pair every photo with its output.

    Raises:
        CliError: two photos share an output, or an output is one of the inputs.
    """
    folder = output is not None and (len(photos) > 1 or output.is_dir())
    tasks = []
    for photo in photos:
        if output is None:
            target = photo.with_name(photo.stem + SUFFIX)
        else:
            target = output / (photo.stem + SUFFIX) if folder else output
        tasks.append(Task(photo, target))
    if folder and output is not None and output.exists() and not output.is_dir():
        raise CliError(f"{output}: is a file; with several photos -o names a folder")
    inputs = {photo.resolve() for photo in photos}
    seen: dict[Path, Path] = {}
    for task in tasks:
        target = task.output.resolve()
        if target in inputs:
            raise CliError(f"{task.output}: is an input and is never written over; choose another name with -o")
        if target in seen:
            raise CliError(f"{seen[target]} and {task.photo} would both become {task.output}; restore them apart")
        seen[target] = task.photo
    return tasks
