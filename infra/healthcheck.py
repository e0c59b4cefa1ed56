"""Is this container well? `python -m infra.healthcheck api|worker|control`, run by the engine; 1 = no.

Each looks at what its process is there for, not at whether it exists: a worker that lost its broker is not well.
A check imports no more than it needs, for it runs every few seconds on its container's share of the processor.
"""

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Final
from urllib.request import urlopen

API: Final = "http://127.0.0.1:8000/healthz"  # inside the container
PATIENCE: Final = 5.0  # seconds for an answer
CONTROL_LOCK: Final = "control"


def api(url: str = API) -> str | None:
    """What is wrong with the API, if anything."""
    try:
        with urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310  (an address of our own)
            return None if answer.status == 200 else f"{url} answered {answer.status}"
    except (OSError, HTTPException) as error:
        return f"{url} does not answer ({error})"


def worker(process: str = "1") -> str | None:
    """What is wrong with the worker whose main process this is: it must answer through the broker."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415  (see above)

    from shared.broker import BrokerUnavailableError, make_celery  # noqa: PLC0415
    from shared.settings import load_service_settings  # noqa: PLC0415

    try:
        found = make_celery(load_service_settings()).control.inspect(
            pattern=f"*-{process}@{socket.gethostname()}", matcher="glob", limit=1, timeout=PATIENCE
        )
        return None if found.ping() else "the worker does not answer through the broker"
    except (BrokerUnavailableError, OperationalError, OSError) as error:
        return f"the broker does not answer ({error})"


def control() -> str | None:
    """What is wrong with the control loops: one of them must lead."""
    from sqlalchemy import select  # noqa: PLC0415  (see above)

    from shared.database import DatabaseUnavailableError  # noqa: PLC0415
    from shared.database.tables import locks  # noqa: PLC0415
    from shared.service import open_database  # noqa: PLC0415
    from shared.settings import load_service_settings  # noqa: PLC0415

    database = open_database(load_service_settings())
    try:
        with database.read() as connection:
            until = connection.execute(select(locks.c.until).where(locks.c.name == CONTROL_LOCK)).scalar()
    except DatabaseUnavailableError as error:
        return str(error)
    finally:
        database.dispose()
    return None if until is not None and until > time.time() else "no control loop leads"


CHECKS: Final[Mapping[str, Callable[..., str | None]]] = {"api": api, "worker": worker, "control": control}


def main(arguments: list[str]) -> int:
    """Say what is wrong on standard error; 0 where nothing is."""
    if not arguments or arguments[0] not in CHECKS:
        sys.stderr.write(f"usage: python -m infra.healthcheck {'|'.join(CHECKS)}\n")
        return 2
    fault = CHECKS[arguments[0]](*arguments[1:])
    if fault is not None:
        sys.stderr.write(f"{arguments[0]}: {fault}\n")
    return int(fault is not None)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # at once: the engine's patience is short, and Celery's clean-up is not needed
