"""Publishes what the outbox holds: what the API could not, and what is tried again later."""

import time
from typing import Final

import structlog

from shared.broker import BrokerUnavailableError, Publisher
from shared.database import Database, job_store

BATCH: Final = 200  # messages in one go
GRACE: Final = 0.5  # seconds that the one who wrote a message has to publish it himself
log = structlog.get_logger()


def dispatch(database: Database, publisher: Publisher) -> int:
    """Publish due messages; how many went out. A crash in between publishes twice, which a claim forgives."""
    with database.read() as connection:
        due = job_store.due_messages(connection, time.time() - GRACE, BATCH)
    sent = []
    try:
        for job_id, queue in due:
            publisher.publish(job_id, queue)
            sent.append(job_id)
    except BrokerUnavailableError as error:
        log.warning("not_dispatched", waiting=len(due) - len(sent), reason=str(error))
    if sent:
        with database.begin() as connection:
            job_store.mark_published(connection, sent, time.time())
        log.info("dispatched", messages=len(sent))
    return len(sent)
