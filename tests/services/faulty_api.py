"""The real API, which dies at a chosen point of a submission. For fault tests alone.

`DIE` = `object`: the photo is stored, nothing else; `commit`: the job is committed, nobody was told; `publish`: the
broker has the message, the outbox does not know.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

from api.app import create_app
from shared.database import job_store
from shared.object_store import FileSystemStore
from shared.settings import load_service_settings
from shared.submission import Submitter


def die() -> None:
    """The whole process group at once, as a power cut does."""
    os.killpg(os.getpgid(0), signal.SIGKILL)


def dying_after(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do it, then die."""

    def call(*arguments: Any, **named: Any) -> None:
        function(*arguments, **named)
        die()

    return call


def dying_before(_function: Callable[..., Any]) -> Callable[..., Any]:
    """Die before it is done."""

    def call(*_: Any, **__: Any) -> None:
        die()

    return call


match os.environ["DIE"]:
    case "object":
        FileSystemStore.put = dying_after(FileSystemStore.put)  # type: ignore[method-assign]
    case "commit":
        Submitter.announce = dying_before(Submitter.announce)  # type: ignore[method-assign]
    case "publish":
        job_store.mark_published = dying_before(job_store.mark_published)
    case other:
        raise ValueError(f"DIE={other!r}: object, commit or publish")

app = create_app(load_service_settings())
