"""The Celery task of the webhooks worker: threads that wait for receivers, and no model."""

from typing import Any

import structlog
from celery import signals

from shared.broker import DELIVER, make_celery
from shared.database import DatabaseUnavailableError
from shared.logs import set_up_logs
from shared.service import open_database
from shared.settings import load_service_settings
from worker.delivery import deliver

settings = load_service_settings()
app = make_celery(settings)
database = open_database(settings)
log = structlog.get_logger()


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _logs(**_: Any) -> None:
    set_up_logs("webhooks")


@app.task(name=DELIVER)  # type: ignore[untyped-decorator]
def deliver_webhook(delivery_id: str) -> None:
    """Try one delivery."""
    try:
        deliver(delivery_id, database, settings)
    except DatabaseUnavailableError as error:
        # The control loop announces it again.
        log.warning("database_unavailable", reason=str(error))
