"""A folder or a bucket's prefix as rows: photos by their ending, narrowed by globs."""

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from shared.backfill.rows import BackfillError, Row
from shared.object_store import ObjectStore

PHOTOS: Final = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif")


def list_folder(folder: Path, include: Sequence[str], exclude: Sequence[str], leave_out: Path | None) -> Iterator[Row]:
    """Photos below a folder in order of their path, as paths relative to it; `leave_out` is the output folder.

    Raises:
        BackfillError: `not_a_folder`.
    """
    if not folder.is_dir():
        raise BackfillError("not_a_folder", f"{folder}: no such folder; check the name")
    return _rows(_walk(folder, leave_out), include, exclude, "")


def list_prefix(
    store: ObjectStore, bucket: str, prefix: str, include: Sequence[str], exclude: Sequence[str]
) -> Iterator[Row]:
    """Photos of a bucket below a prefix, as `s3://bucket/key`, in the store's order."""
    return _rows((found.key for found in store.list(prefix)), include, exclude, f"s3://{bucket}/")


def is_wanted(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a relative path or its name matches one of `include` (any photo, where empty) and none of `exclude`."""
    name = path.rpartition("/")[2]

    def matches(pattern: str) -> bool:
        return fnmatchcase(path, pattern) or fnmatchcase(name, pattern)

    if not path.lower().endswith(PHOTOS) or name.startswith("."):
        return False
    return (not include or any(map(matches, include))) and not any(map(matches, exclude))


def _rows(paths: Iterable[str], include: Sequence[str], exclude: Sequence[str], before: str) -> Iterator[Row]:
    wanted = (path for path in paths if is_wanted(path, include, exclude))
    for number, path in enumerate(wanted, 1):
        yield Row(number, before + path)


def _walk(folder: Path, leave_out: Path | None) -> Iterator[str]:
    """Relative paths with slashes; one folder's names are held at a time."""
    skipped = None if leave_out is None else leave_out.resolve()
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and Path(here, name).resolve() != skipped
        )
        for name in sorted(files):
            yield Path(here, name).relative_to(folder).as_posix()
