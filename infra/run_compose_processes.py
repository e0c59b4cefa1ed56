"""The processes of docker-compose.yml without an engine: `python -m infra.run_compose_processes`.

Same commands, same environment (.env filled in), same order and health checks; every host is the loopback address,
every port a free one, and the stores come out of wheels. For tests and for a look; images are not built by this.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from infra import stores
from infra.compose import ROOT, ComposeError, Service, image_command, read_compose, read_env
from worker.embedded import free_port
from worker.supervisor import Child, StartError, Supervisor

READY: Final = 60.0  # seconds that a service may take until its health check passes
HOSTS: Final = {"postgres": 5432, "valkey": 6379, "seaweedfs": 8333, "api": 8000}  # services others know by address
STORES: Final = {"postgres": stores.postgres, "valkey": stores.valkey, "seaweedfs": stores.seaweedfs}
IMAGES: Final = {"api": "api.Dockerfile"}  # services that run their image's own command


class ComposeProcesses:
    """The running stack; a process that dies is started again, as `restart: unless-stopped` says."""

    def __init__(self, folder: Path, env: Mapping[str, str], scale: Mapping[str, int] | None = None) -> None:
        self._folder = folder.resolve()
        self._services = read_compose(ROOT / "docker-compose.yml", env)
        self._scale = scale or {}
        self._ports = {name: free_port() for name in HOSTS}
        self.children: dict[str, list[Child]] = {}
        # Those who use the stores stop before them.
        self._stores, self._processes = Supervisor(), Supervisor()
        self._watchers = [threading.Thread(target=part.watch) for part in (self._stores, self._processes)]

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://{stores.LOOPBACK}:{self._ports['api']}"

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            StartError: a process ended or was not well in time; those before it are stopped again.
        """
        try:
            for service in in_order(self._services):
                self._start(service)
        except BaseException:
            self._stop()
            raise
        for watcher in self._watchers:
            watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        for part in (self._processes, self._stores):
            part.request_stop()
        for watcher in self._watchers:
            watcher.join()
        self._stop()

    def environment(self, name: str) -> dict[str, str]:
        """A service's environment as the compose file says, every address on loopback."""
        mine = {key: value for key, value in os.environ.items() if not key.startswith("REGAIN_") and key != "REDIS_URL"}
        theirs = {key: self._placed(value) for key, value in self._services[name].environment.items()}
        if "REGAIN_DATA_DIR" in theirs:
            theirs["REGAIN_DATA_DIR"] = str(self._folder / name)
        return {**mine, **theirs, "PYTHONPATH": str(ROOT)}

    def run(self, name: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """A command in a service's environment, as `docker compose exec` runs one."""
        return subprocess.run(
            _spelled(command), env=self.environment(name), capture_output=True, text=True, check=False, timeout=READY
        )

    def _start(self, service: Service) -> None:
        if service.name in STORES:
            store = STORES[service.name](service, self._folder / service.name, self._ports[service.name])
            child = Child(service.name, store.command, {**os.environ, **store.environment})
            self.children[service.name] = [child]
            self._stores.add(child, store.is_ready, READY)
        elif _is_job(service, self._services):
            done = self.run(service.name, service.command)
            if done.returncode != 0:
                raise StartError(f"{service.name} ended with code {done.returncode}: {done.stderr.strip()}")
        else:
            for number in range(self._scale.get(service.name, 1)):
                self._start_process(service, number)

    def _start_process(self, service: Service, number: int) -> None:
        command = service.command or image_command(ROOT / "infra" / IMAGES[service.name])
        child = Child(
            f"{service.name}-{number + 1}",
            [self._placed(word) for word in _spelled(command)],
            self.environment(service.name),
        )
        self.children.setdefault(service.name, []).append(child)
        self._processes.add(child, self._health(service, child), READY)

    def _health(self, service: Service, child: Child) -> Callable[[], bool]:
        check = service.healthcheck

        def is_well() -> bool:
            # Of a container the process is number 1, and the API's port is its own; here neither is so.
            pid = [] if child.process is None else [str(child.process.pid)]
            own = {"worker": pid, "webhooks": pid, "api": [f"{self.url}/healthz"]}.get(service.name, [])
            return self.run(service.name, [*check, *own]).returncode == 0

        return is_well

    def _placed(self, text: str) -> str:
        for host, port in HOSTS.items():
            for known in (f"{host}:{port}", f"{stores.LOOPBACK}:{port}", f"0.0.0.0:{port}"):
                text = text.replace(known, f"{stores.LOOPBACK}:{self._ports[host]}")
        return text

    def _stop(self) -> None:
        self._processes.stop()
        self._stores.stop()


def in_order(services: Mapping[str, Service]) -> list[Service]:
    """Every service after those that it waits for.

    Raises:
        ComposeError: they wait for each other, or for one that is not there.
    """
    ordered: dict[str, Service] = {}
    while len(ordered) < len(services):
        free = [s for n, s in services.items() if n not in ordered and s.waits_for.keys() <= ordered.keys()]
        if not free:
            raise ComposeError(f"these wait for each other: {', '.join(sorted(services.keys() - ordered.keys()))}")
        ordered |= {service.name: service for service in free}
    return list(ordered.values())


def _is_job(service: Service, services: Mapping[str, Service]) -> bool:
    return any(s.waits_for.get(service.name) == "service_completed_successfully" for s in services.values())


def _spelled(command: Sequence[str]) -> list[str]:
    first, *rest = command
    if first == "regain":
        return [sys.executable, "-m", "worker.cli.main", *rest]
    return [sys.executable, *(["-m", first] if first != "python" else []), *rest]


def main() -> int:
    """Run until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("out/compose"), help="everything is kept here")
    parser.add_argument("--env-file", type=Path, default=Path(".env"))
    parser.add_argument("--workers", type=int, default=1, help="as `--scale worker=N`")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with ComposeProcesses(given.folder, read_env(given.env_file), {"worker": given.workers}) as running:
            sys.stdout.write(f"up: {running.url}\n")
            sys.stdout.flush()
            stop.wait()
    except (ComposeError, StartError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
