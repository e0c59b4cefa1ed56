"""The Celery task of the webhooks worker: threads that wait for receivers, and no model.

Nothing is acknowledged. What is under way SQL knows by its lease, and a message that was lost is sent again; while a
message that waits for its acknowledgement ends a worker of threads when the broker goes away, for celery 5.7 then
answers over the connection that is gone.
"""

from typing import Any

import structlog
from celery import signals
from celery.worker.request import Request
from kombu.entity import Exchange
from kombu.entity import Queue as BrokerQueue

from shared.broker import DELIVER, make_celery
from shared.database import DatabaseUnavailableError
from shared.jobs import Queue
from shared.logs import set_up_logs
from shared.service import open_database
from shared.settings import load_service_settings
from worker.delivery import deliver

settings = load_service_settings()
app = make_celery(settings)
_name = Queue.WEBHOOKS.value
_queue = BrokerQueue(_name, Exchange(_name), _name, no_ack=True)  # type: ignore[no-untyped-call]
app.conf.task_queues = [_queue]
database = open_database(settings)
log = structlog.get_logger()


class Unacknowledged(Request):  # type: ignore[misc]
    """A message that is the worker's from the moment it comes."""

    def acknowledge(self) -> None:
        """Nothing waits for it."""
        self.acknowledged = True

    def reject(self, requeue: bool = False) -> None:  # noqa: ARG002  (celery's signature)
        """Nothing takes it back."""
        self.acknowledged = True


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _logs(**_: Any) -> None:
    set_up_logs("webhooks")


@app.task(name=DELIVER, Request=Unacknowledged)  # type: ignore[untyped-decorator]
def deliver_webhook(delivery_id: str) -> None:
    """Try one delivery."""
    try:
        deliver(delivery_id, database, settings)
    except DatabaseUnavailableError as error:
        # The control loop announces it again.
        log.warning("database_unavailable", reason=str(error))
