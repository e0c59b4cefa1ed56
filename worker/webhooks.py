"""What the control loop does for webhooks: says which are due, and forgets old ones.

Receivers that answer come first, and each has few tries at a time; all that lately failed share half of one
worker's threads. However many of them let every request time out, the others are never behind them.
"""

import time
from collections.abc import Sequence
from typing import Final

import structlog

from shared.broker import BrokerUnavailableError, Publisher
from shared.database import Database, delivery_plan, delivery_store
from shared.database.delivery_plan import Receiver
from shared.jobs import Queue
from shared.settings import ServiceSettings

IN_FLIGHT: Final = 64  # deliveries announced or under way at a time; each success takes its receiver's next ones along
PER_RECEIVER: Final = 2  # at a time
PER_SUSPECT: Final = 1  # at a time, to a receiver that failed last
ANNOUNCED: Final = 15.0  # seconds after which a message that nobody took is sent again
SECONDS_A_DAY: Final = 86400.0
log = structlog.get_logger()


def announce_due(database: Database, publisher: Publisher, settings: ServiceSettings) -> int:
    """Publish what is due and fair; how many went out. One that was announced twice is claimed once."""
    now = time.time()
    with database.read() as connection:
        if not delivery_plan.anything_due(connection, now):
            return 0
        waiting = delivery_plan.receivers(connection, now)
        due = [
            found
            for name, room in share(waiting, settings.webhook_concurrency // 2)
            for found in delivery_plan.oldest(connection, name, now, room)
        ]
    if not due or publisher.depth(Queue.WEBHOOKS) >= 2 * IN_FLIGHT:
        return 0  # where no worker serves the queue, messages must not pile up
    # Before they are sent: whoever is quick would have tried already, and be taken for announced until later.
    with database.begin() as connection:
        delivery_plan.mark_announced(connection, due, now, now + ANNOUNCED)
    sent = _send(publisher, due)
    if sent < len(due):
        with database.begin() as connection:
            delivery_plan.unmark(connection, due[sent:])
    return sent


def share(receivers: Sequence[Receiver], suspects_room: int) -> list[tuple[str, int]]:
    """How many deliveries each receiver may have announced now, the healthy ones first."""
    room = IN_FLIGHT - sum(receiver.busy for receiver in receivers)
    suspects_room -= sum(receiver.busy for receiver in receivers if receiver.suspect)
    shares = []
    for receiver in sorted(receivers, key=lambda found: found.suspect):
        own = (PER_SUSPECT if receiver.suspect else PER_RECEIVER) - receiver.busy
        number = min(own, receiver.ready, room, suspects_room if receiver.suspect else room)
        if number > 0:
            shares.append((receiver.name, number))
            room -= number
            suspects_room -= number if receiver.suspect else 0
    return shares


def purge(database: Database, settings: ServiceSettings) -> None:
    """Forget events that are past their time."""
    before = time.time() - settings.webhook_history_days * SECONDS_A_DAY
    with database.begin() as connection:
        gone = delivery_store.purge(connection, before)
    if gone:
        log.info("events_forgotten", events=gone)


def _send(publisher: Publisher, delivery_ids: Sequence[str]) -> int:
    """How many of them, from the first on, the broker took."""
    for number, delivery_id in enumerate(delivery_ids):
        try:
            publisher.publish_delivery(delivery_id)
        except BrokerUnavailableError as error:
            log.warning("webhooks_not_announced", waiting=len(delivery_ids) - number, reason=str(error))
            return number
    return len(delivery_ids)
