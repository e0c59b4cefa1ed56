"""What the requests of one process share: made after the fork, found through the application."""

from dataclasses import dataclass
from typing import Final, cast

from flask import Flask, current_app

from api.waiting import Waiting
from shared.broker import BrokerUnavailableError, Publisher
from shared.buckets import Buckets
from shared.database import Database
from shared.object_store import ObjectStore
from shared.service import open_database, open_store
from shared.settings import ServiceSettings
from shared.sources import Sources
from shared.submission import Submitter

_NAME: Final = "regain"


@dataclass(frozen=True, slots=True)
class Services:
    """Settings and the way to everything outside the process; `publisher` is None where no broker is named."""

    settings: ServiceSettings
    database: Database
    store: ObjectStore
    publisher: Publisher | None
    submitter: Submitter
    sources: Sources
    buckets: Buckets
    waiting: Waiting


def install(app: Flask, settings: ServiceSettings) -> Services:
    """Make the services; nothing is connected yet."""
    database, store, publisher = open_database(settings), open_store(settings), _publisher(settings)
    submitter = Submitter(settings, database, store, publisher)
    sources = Sources(settings, database, store)
    made = Services(settings, database, store, publisher, submitter, sources, Buckets(settings), Waiting(database))
    app.extensions[_NAME] = made
    return made


def services() -> Services:
    """The services of the application that answers this request."""
    return cast(Services, current_app.extensions[_NAME])


def _publisher(settings: ServiceSettings) -> Publisher | None:
    try:
        return Publisher(settings)
    except BrokerUnavailableError:
        return None  # the outbox keeps the messages; /readyz says that the broker is missing
