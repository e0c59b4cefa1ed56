"""The Celery tasks: shells around functions that know nothing of Celery."""

import time
from typing import Any

from celery import signals

from shared.broker import TASK, make_celery
from shared.database import watch
from shared.logs import set_up_logs
from shared.settings import load_service_settings
from shared.tracing import trace_tasks
from worker.context import Context, make_context
from worker.job import run_job

settings = load_service_settings()
app = make_celery(settings)
_context: Context | None = None
_queues = ""  # what this worker serves, for its signs of life


def _process() -> Context:
    """This process's context; made on first use where the pool does not fork."""
    global _context  # noqa: PLW0603  (one a process, as Celery's own signals want it)
    if _context is None:
        _context = make_context(settings, _queues)
    return _context


@signals.celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _name_queues(instance: Any, **_: object) -> None:
    global _queues  # noqa: PLW0603
    _queues = ",".join(sorted(instance.app.amqp.queues))


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _after_fork(**_: object) -> None:
    # The session is made here, in the child: one that is inherited ends the process when it is destroyed.
    _process().warm_up()
    trace_tasks(settings)


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _logs(**_: object) -> None:
    set_up_logs("worker")


@app.task(name=TASK)  # type: ignore[untyped-decorator]
def restore(job_id: str) -> None:
    """Do one job."""
    run_job(job_id, _process())


@app.task(name="regain.ping", acks_late=False)  # type: ignore[untyped-decorator]
def ping(_queue: str) -> None:
    """Give a sign of life: the whole way from broker to SQL works."""
    context = _process()
    with context.database.begin() as connection:
        watch.saw_worker(connection, context.holder, context.queues, time.time())
