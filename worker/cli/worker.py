"""`regain worker`, `regain control` and `regain migrate`: the service's processes, one each."""

import os
from typing import Annotated

import typer
from celery import Celery

from shared.broker import BrokerUnavailableError
from shared.database import DatabaseUnavailableError
from shared.database import migrate as migrate_database
from shared.jobs import Queue
from shared.logs import set_up_logs
from shared.service import open_database
from shared.settings import load_service_settings
from worker.cli.console import CliError, out
from worker.control import run_until_signal


def worker(
    queues: Annotated[str, typer.Option(help="queues to serve, by comma")] = "interactive,bulk",
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="processes, each with a model (1); for webhooks, threads (8)")
    ] = None,
    control: Annotated[bool, typer.Option("--control", help="run the control loop instead of taking jobs")] = False,
) -> None:
    """Take jobs from the broker, or (--control) keep them moving."""
    settings = load_service_settings()
    if control:
        set_up_logs("control")
        try:
            run_until_signal(settings)
        except BrokerUnavailableError as error:
            raise CliError(str(error)) from error
        return
    unknown = sorted(set(queues.split(",")) - {queue.value for queue in Queue})
    if unknown:
        raise CliError(f"no queue named {', '.join(unknown)}; known: {', '.join(queue.value for queue in Queue)}")
    sends = queues == Queue.WEBHOOKS.value
    if not sends and Queue.WEBHOOKS.value in queues.split(","):
        raise CliError("webhooks wait for strangers: give them a worker of their own, --queues webhooks")
    if settings.redis_url is None:
        raise CliError("no broker: set REDIS_URL, or start everything with `regain up`")
    # Imported here: both read the settings at once.
    if sends:
        from worker.webhook_tasks import app  # noqa: PLC0415

        _serve(app, queues, "threads", concurrency or settings.webhook_concurrency)
    else:
        from worker.tasks import app  # noqa: PLC0415

        app.conf.worker_pool = "worker.pool:Prefork"  # what `prefork` then stands for
        _serve(app, queues, "prefork", concurrency or 1)


def _serve(app: Celery, queues: str, pool: str, concurrency: int) -> None:
    app.worker_main(
        [
            "--quiet",
            "worker",
            f"--pool={pool}",
            f"--concurrency={concurrency}",
            f"--queues={queues}",
            f"--hostname={queues.replace(',', '-')}-{os.getpid()}@%h",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=INFO",
        ]
    )


def migrate() -> None:
    """Bring the database to the newest schema; nothing happens where it is there."""
    settings = load_service_settings()
    database = open_database(settings)
    try:
        migrate_database(database)
    except DatabaseUnavailableError as error:
        raise CliError(f"{error}; check REGAIN_DATABASE_URL") from error
    out.print(f"{database.url.render_as_string(hide_password=True)}: schema is current")
