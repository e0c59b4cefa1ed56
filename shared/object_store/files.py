"""What a store in a folder asks of the operating system."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.object_store.errors import ObjectNotFound, StoreUnavailable


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turn errors of the file system into the store's.

    Raises:
        ObjectNotFound: the file is not there.
        StoreUnavailable: no room, no permission, a broken disk.
    """
    try:
        yield
    except FileNotFoundError:
        raise ObjectNotFound(key) from None
    except OSError as error:
        raise StoreUnavailable(
            f"the folder of the object store failed at {key!r} ({error.strerror}): check its disk and permissions"
        ) from error


def sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk: a rename is not there before."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def removed_empty(folder: Path) -> bool:
    """Whether the folder was empty, and is gone now."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            return False
        raise
    return True
