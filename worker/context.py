"""What one worker process holds: made after the fork, kept warm from job to job."""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from shared.database import Database
from shared.object_store import ObjectStore
from shared.registry import find_model
from shared.service import open_database, open_store
from shared.settings import ServiceSettings
from worker.predictors import Predictor, make_predictor


@dataclass(slots=True)
class Context:
    """Settings, the two stores, and the models that were asked for so far."""

    settings: ServiceSettings
    database: Database
    store: ObjectStore
    queues: str = ""
    holder: str = field(default_factory=lambda: holder_name(os.getpid()))
    _predictors: dict[str, Predictor] = field(default_factory=dict)

    def predictor(self, name: str) -> Predictor:
        """A loaded model.

        Raises:
            ModelError: no such model, or its files are not what the manifest says.
        """
        if name not in self._predictors:
            settings = self.settings
            model = find_model(name, settings.models_dir)
            self._predictors[name] = make_predictor(
                model, settings.threads, settings.network_long_side, settings.backend
            )
        return self._predictors[name]

    def warm_up(self) -> None:
        """Load the default model, so that the first job does not wait for it."""
        self.predictor(find_model(self.settings.model, self.settings.models_dir).name)


def make_context(settings: ServiceSettings, queues: str) -> Context:
    """A process's context; to be called after a fork, never before."""
    return Context(settings, open_database(settings), open_store(settings), queues)


def holder_name(pid: int) -> str:
    """Who holds a lease: host and process."""
    return f"{socket.gethostname()}/{pid}"


def is_dead(holder: str) -> bool:
    """Whether a holder is known to be gone: on this host, and no such process. Unsure means False."""
    host, _, pid = holder.rpartition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
        # Dead already, though its parent has not looked yet (proc(5): the state stands behind the name).
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2][1:2] == "Z"
    except ProcessLookupError:
        return True
    except OSError:
        return False
