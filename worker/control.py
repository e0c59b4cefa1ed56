"""The control loop: dispatch, reconcile, sweep, ask for signs of life. Several may run; one at a time works."""

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from shared.broker import BrokerUnavailableError, Publisher
from shared.database import Database, DatabaseUnavailableError, insight_store, watch
from shared.insights import day_of
from shared.object_store import StoreError
from shared.service import open_database, open_store
from shared.settings import ServiceSettings
from worker import webhooks
from worker.batches import loop as batches
from worker.dispatcher import dispatch
from worker.reconciler import SERVED, Reconciler
from worker.sql_lock import KEEP, SqlLock
from worker.sweeper import sweep, sweep_orphans

TICK: Final = 0.25  # seconds between two looks into the outbox
PING: Final = 15.0  # seconds of silence after which workers are asked for a sign
SWEEP: Final = 30.0  # seconds
ORPHANS: Final = 3600.0  # seconds
log = structlog.get_logger()


@dataclass(slots=True)
class Duty:
    """Something to be done every so many seconds."""

    every: float
    run: Callable[[], object]
    due: float = 0.0


def control(settings: ServiceSettings, stop: threading.Event) -> None:
    """Run until `stop` is set; faults of database, broker or store are waited out."""
    database, publisher, store = open_database(settings), Publisher(settings), open_store(settings)
    reconciler = Reconciler(database, publisher, settings)
    duties = [
        Duty(TICK, lambda: dispatch(database, publisher)),
        Duty(TICK, lambda: webhooks.announce_due(database, publisher, settings)),
        Duty(settings.reconcile_seconds, reconciler.look),
        Duty(PING / 2, lambda: _ask_for_signs(database, publisher)),
        Duty(SWEEP, lambda: sweep(database, store)),
        Duty(ORPHANS, lambda: sweep_orphans(database, store)),
        Duty(ORPHANS, lambda: webhooks.purge(database, settings)),
        Duty(SWEEP, lambda: _forget_visitors(database)),
    ]
    lock, leading = SqlLock(database, "control"), False
    threads = batches.start(settings, database, store, publisher, stop)
    try:
        while not stop.is_set():
            leads = lock.is_ours()
            if leads != leading:
                log.info("leading" if leads else "standing_by")
                leading = leads
            if leading:
                for duty in duties:
                    _do(duty)
            stop.wait(TICK if leading else KEEP)
    finally:
        stop.set()  # also where this loop failed: the process must end, to be started anew
        lock.let_go()
        for thread in threads:
            thread.join()


def run_until_signal(settings: ServiceSettings) -> None:
    """Run in the foreground; SIGTERM or SIGINT ends it."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    control(settings, stop)


def _do(duty: Duty) -> None:
    now = time.monotonic()
    if now < duty.due:
        return
    duty.due = now + duty.every
    try:
        duty.run()
    except (DatabaseUnavailableError, BrokerUnavailableError, StoreError) as error:
        log.warning("duty_postponed", reason=str(error))
    except Exception:
        log.exception("duty_failed")


def _forget_visitors(database: Database) -> None:
    """Nobody may come after midnight, and yesterday's salt has to go all the same."""
    with database.begin() as connection:
        insight_store.forget(connection, day_of(time.time()))


def _ask_for_signs(database: Database, publisher: Publisher) -> None:
    """A worker that is idle shows that it lives by answering; one that works shows it by its leases."""
    with database.read() as connection:
        seen = watch.youngest_sign(connection)
    if seen is None or time.time() - seen > PING:
        for queue in SERVED:
            publisher.ping(queue, PING)
