"""`regain up`: the whole service on one machine, nothing to install."""

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import requests
import typer
from pydantic import ValidationError

from shared.database import Database, key_store, migrate
from shared.database.key_store import Scope
from shared.logs import set_up_logs
from shared.service import open_database
from shared.settings import ServiceSettings, load_service_settings
from worker.cli.console import CliError, out
from worker.embedded import LOOPBACK, NoBrokerError, embedded_broker
from worker.supervisor import Child, StartError, Supervisor

API_THREADS: Final = 32  # requests at once in one API process; long polls and event streams hold some
KEY_FILE: Final = "api-key"  # in the data folder: the embedded stack's own key


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="of the API, on the loopback address")] = 8000,
    data_dir: Annotated[Path | None, typer.Option(help="everything is kept here")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="default: one for two cores")] = None,
) -> None:
    """Start API, workers, control loop, broker and database; Ctrl-C stops them. A second start finds its data."""
    set_up_logs("up")
    settings = _settings(port, data_dir)
    with _only_instance(settings.data_dir):
        _check_port(port)
        supervisor = Supervisor()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.request_stop())
        try:
            _start(supervisor, settings, port, workers or max(1, (os.cpu_count() or 2) // 2))
            supervisor.watch()
        except (StartError, NoBrokerError) as error:
            raise CliError(str(error)) from error
        finally:
            supervisor.stop()
    out.print("stopped; the data are kept")


def _settings(port: int, data_dir: Path | None) -> ServiceSettings:
    if data_dir is not None:
        os.environ["REGAIN_DATA_DIR"] = str(data_dir.resolve())
    os.environ.setdefault("REGAIN_PUBLIC_URL", f"http://{LOOPBACK}:{port}")
    try:
        return load_service_settings()
    except ValidationError as error:
        raise CliError(f"a setting is off: {error}") from error


def _start(supervisor: Supervisor, settings: ServiceSettings, port: int, workers: int) -> None:
    environment = dict(os.environ)
    # Two workers for two cores: each network run takes a core's share, or they would only push each other aside.
    environment.setdefault("REGAIN_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    if settings.redis_url is None:
        broker = embedded_broker(settings.data_dir / "broker")
        environment["REGAIN_REDIS_URL"] = broker.url
        supervisor.add(Child("broker", broker.command, environment), broker.is_ready)
    database = open_database(settings)
    migrate(database)
    settings.signing_secret()
    key = _own_key(database, settings.data_dir / KEY_FILE)
    database.dispose()
    python = [sys.executable, "-m"]
    for index in range(workers):
        # With two workers or more, the first keeps to callers who wait.
        queues = "interactive" if index == 0 and workers > 1 else "interactive,bulk"
        command = [*python, "worker.cli.main", "worker", "--queues", queues]
        supervisor.add(Child(f"worker-{index + 1}", command, environment))
    command = [*python, "worker.cli.main", "worker", "--queues", "webhooks"]
    supervisor.add(Child("webhooks", command, environment))
    supervisor.add(Child("control", [*python, "worker.cli.main", "worker", "--control"], environment))
    supervisor.add(
        Child("api", [*python, *gunicorn(port, settings.api_processes)], environment),
        lambda: _answers(settings.public_url),
        seconds=60,
    )
    out.print(f"Regain is up: {settings.public_url}  (docs: {settings.public_url}/docs)")
    out.print(f"API key: {key}  (also in {settings.data_dir / KEY_FILE})")
    out.print("Ctrl-C stops it.")


def gunicorn(port: int, processes: int) -> list[str]:
    """The API's command line behind `python -m`."""
    return [
        "gunicorn",
        "api.wsgi:app",
        f"--bind={LOOPBACK}:{port}",
        "--worker-class=gthread",
        f"--workers={processes}",
        f"--threads={API_THREADS}",
        "--graceful-timeout=5",
        "--timeout=120",
        "--log-level=warning",
    ]


def _own_key(database: Database, path: Path) -> str:
    """The stack's own key, made at the first start."""
    if path.is_file():
        text = path.read_text(encoding="ascii").strip()
        with database.read() as connection:
            if key_store.authenticate(connection, text) is not None:
                return text
    with database.begin() as connection:
        _, text = key_store.create(connection, "default", "regain up", list(Scope))
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="ascii")
    return text


@contextmanager
def _only_instance(folder: Path) -> Iterator[None]:
    """Hold the data folder; two stacks over one folder would fight for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CliError(
                f"{folder}: another `regain up` runs over this folder; stop it, or give another --data-dir"
            ) from None
        yield


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CliError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from None


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False
