"""Events and their deliveries over both databases and real receivers; the queue is left out."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook, WebhookVerificationError

from api.schemas import WebhookEvent
from shared.database import Database, delivery_plan, delivery_store, job_store, migrate, webhook_store
from shared.database.delivery_plan import Receiver as Waiting
from shared.database.delivery_store import Delivery, DeliveryStatus
from shared.database.tables import events, tables, webhook_deliveries
from shared.database.webhook_store import Endpoint
from shared.events import SUBSCRIBABLE, EventType, body
from shared.job_view import job_view
from shared.jobs import Job, JobStatus, Stage
from shared.settings import ServiceSettings
from shared.signing import new_secret, tenant_secret
from tests.services.receiver import Receiver, receiver, self_signed
from tests.services.stack import new_job
from worker import webhooks
from worker.delivery import deliver

QUICK = 0.5  # seconds that a receiver has here


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(data_dir=tmp_path, allow_private_urls=True, webhook_seconds=QUICK)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    sqlite = request.param == "sqlite"
    made = Database(f"sqlite:///{tmp_path / 'test.sqlite3'}" if sqlite else request.getfixturevalue("postgres"))
    migrate(made)
    with made.begin() as connection:
        for table in reversed(tables.sorted_tables):
            connection.execute(table.delete())
    yield made
    made.dispose()


only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def good() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def endpoint_for(database: Database, to: Receiver, *kinds: EventType) -> Endpoint:
    with database.begin() as connection:
        endpoint = webhook_store.create(connection, "tests", to.url, kinds, time.time())
    assert endpoint is not None
    to.secret = endpoint.secret
    return endpoint


def told(database: Database, kind: EventType = EventType.JOB_SUCCEEDED, **named: Any) -> str | None:
    with database.begin() as connection:
        return webhook_store.tell(connection, kind, "tests", lambda: {"id": "1"}, time.time(), **named)


def deliveries(database: Database) -> list[Delivery]:
    with database.read() as connection:
        ids = connection.execute(select(webhook_deliveries.c.id).order_by(webhook_deliveries.c.created)).scalars()
        found = [delivery_store.get(connection, delivery_id) for delivery_id in ids]
    return [delivery for delivery in found if delivery is not None]


def run_due(database: Database, settings: ServiceSettings, *, now: bool = False) -> None:
    """What the worker does with everything that is due; `now`: or will be."""
    if now:
        with database.begin() as connection:
            for delivery in deliveries(database):
                if delivery.status is DeliveryStatus.PENDING:
                    delivery_store.again_one(connection, delivery.id, time.time())
    for delivery in deliveries(database):
        deliver(delivery.id, database, settings)


def kinds_of(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(events.c.type).order_by(events.c.created)).scalars())


def stored(job: Job, database: Database) -> Job:
    with database.read() as connection:
        found = job_store.get(connection, job.id)
    assert found is not None
    return found


def test_every_change_of_a_job_is_an_event(database: Database, settings: ServiceSettings, good: Receiver) -> None:
    endpoint_for(database, good)
    job = replace(new_job("uploads/1"), metadata={"photo": "7"})
    with database.begin() as connection:
        assert job_store.add(connection, job, job.id)
    for _ in range(2):
        with database.begin() as connection:
            claimed = job_store.claim(connection, job.id, "here/1", 10, time.time())
            assert claimed is not None
        with database.begin() as connection:
            assert job_store.report_stage(connection, claimed, Stage.DECODE, time.time(), 10)
        with database.begin() as connection:
            assert job_store.bury(connection, claimed, "worker_lost", "it died", time.time())
        with database.begin() as connection:
            assert job_store.retry(connection, job.id, time.time())
    with database.begin() as connection:
        assert job_store.cancel(connection, job.id, time.time())
    again = ["job.queued", "job.running", "job.progress", "job.failed"]
    assert kinds_of(database) == [*again, *again, "job.queued", "job.canceled"]
    run_due(database, settings)
    assert len(set(good.ids)) == 10
    payloads = {payload["type"]: payload for _, payload in good.taken}
    dead = next(payload for _, payload in good.taken if payload["type"] == "job.failed")
    assert dead["data"]["status"] == "dead"
    assert dead["data"]["error"] == {"code": "worker_lost", "message": "it died"}
    last = payloads["job.canceled"]
    expected = job_view(stored(job, database))
    expected["links"] = {name: settings.public_url + path for name, path in expected["links"].items()}
    assert last["data"] == expected
    assert last["version"] == 1
    assert last["data"]["metadata"] == {"photo": "7"}


def test_a_job_that_is_rolled_back_tells_nothing(database: Database, good: Receiver) -> None:
    endpoint_for(database, good)
    job = new_job("uploads/1")

    def broken() -> None:
        with database.begin() as connection:
            job_store.add(connection, job, job.id)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert kinds_of(database) == []


def test_nothing_is_written_for_nobody(database: Database, good: Receiver) -> None:
    endpoint = endpoint_for(database, good, EventType.JOB_FAILED)
    assert told(database) is None
    assert told(database, webhook={"url": good.url, "events": ["job.canceled"]}) is None
    assert told(database, EventType.JOB_FAILED) is not None
    with database.begin() as connection:
        webhook_store.disable(connection, endpoint.id, "by its owner", time.time())
    assert told(database, EventType.JOB_FAILED) is None
    assert len(kinds_of(database)) == 1


def test_a_job_has_its_own_webhook(database: Database, settings: ServiceSettings, good: Receiver) -> None:
    own = new_secret()
    for secret in (None, own):
        job = replace(new_job(f"uploads/{secret}"), webhook={"url": good.url, "secret": secret})
        with database.begin() as connection:
            assert job_store.add(connection, job, job.id)
            assert job_store.cancel(connection, job.id, time.time())
        good.secret = secret or tenant_secret(settings.signing_secret(), "tests")
        run_due(database, settings)
    assert [payload["type"] for _, payload in good.taken] == ["job.canceled"] * 2
    assert own not in str(good.bodies)


FAILURES = {
    "500": "answered 500",
    "silent": "took too long",
    "redirect": "redirects (307)",
    "drip": "took too long",
    "huge": "answered 500",
    "tls": "TLS certificate",
    "closed": "cannot be reached",
}


@only_sqlite
@pytest.mark.parametrize("mode", FAILURES)
def test_a_receiver_fails_and_comes_back(
    mode: str, database: Database, settings: ServiceSettings, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        certificate = self_signed(tmp_path / "tls.pem") if mode == "tls" else None
        to = stack.enter_context(receiver(mode, certificate))
        endpoint = endpoint_for(database, to)
        if mode == "closed":
            with receiver() as gone:
                away = gone.url
            with database.begin() as connection:
                webhook_store.change(connection, endpoint.id, time.time(), url=away)
        event_id = told(database)
        begun = time.monotonic()
        run_due(database, settings)
        assert time.monotonic() - begun < QUICK + 1
        (failed,) = deliveries(database)
        assert failed.status is DeliveryStatus.PENDING
        assert FAILURES[mode] in (failed.error or "")
        assert 4 < (failed.due or 0) - time.time() < 6
        assert len(failed.excerpt or "") <= 2048
        back = to if certificate is None else stack.enter_context(receiver())
        back.mode, back.secret = "ok", endpoint.secret
        with database.begin() as connection:
            webhook_store.change(connection, endpoint.id, time.time(), url=back.url)
        run_due(database, settings, now=True)
        assert back.ids == [event_id]
        (done,) = deliveries(database)
        assert (done.status, done.code, done.error) == (DeliveryStatus.DELIVERED, 204, None)
        with database.read() as connection:
            found = webhook_store.get(connection, endpoint.id)
        assert found is not None
        assert found.failing_since is None


def test_the_schedule_ends(database: Database, settings: ServiceSettings, good: Receiver) -> None:
    good.mode = "500"
    endpoint_for(database, good)
    told(database)
    short = settings.model_copy(update={"webhook_schedule": (0.0, 0.0, 0.0)})
    for _ in range(5):
        run_due(database, short)
    (delivery,) = deliveries(database)
    assert (delivery.status, delivery.attempts, delivery.due) == (DeliveryStatus.FAILED, 3, None)
    assert len(good.attempts) == 3
    assert len(set(good.attempts)) == 1


def test_retry_after_is_honoured(database: Database, settings: ServiceSettings, good: Receiver) -> None:
    good.mode, good.headers = "503", {"Retry-After": "1200"}
    endpoint_for(database, good)
    told(database)
    run_due(database, settings)
    (delivery,) = deliveries(database)
    assert 1190 < (delivery.due or 0) - time.time() < 1210


def test_410_disables_the_endpoint(database: Database, settings: ServiceSettings, good: Receiver) -> None:
    good.mode = "410"
    endpoint = endpoint_for(database, good)
    told(database), told(database)
    run_due(database, settings)
    assert [delivery.status for delivery in deliveries(database)] == ["failed", "canceled"]
    with database.begin() as connection:
        found = webhook_store.get(connection, endpoint.id)
        assert found is not None
        assert found.disabled_reason == "the receiver answered 410 Gone"
        webhook_store.enable(connection, endpoint.id, time.time())
        wanted = ["failed", "canceled"]
        assert delivery_store.again_since(connection, endpoint.id, 0, wanted, time.time()) == 2
    good.mode = "ok"
    run_due(database, settings)
    assert len(set(good.ids)) == 2


def test_days_of_failure_disable_the_endpoint(database: Database, settings: ServiceSettings, good: Receiver) -> None:
    good.mode = "500"
    endpoint = endpoint_for(database, good)
    with database.begin() as connection:
        webhook_store.failed(connection, endpoint.id, time.time() - 73 * 3600)
    told(database)
    for _ in range(2):
        with database.read() as connection:
            found = webhook_store.get(connection, endpoint.id)
        assert found is not None
        assert found.disabled is None  # while the event is still tried
        run_due(database, settings.model_copy(update={"webhook_schedule": (0.0, 0.0)}))
    with database.read() as connection:
        found = webhook_store.get(connection, endpoint.id)
    assert found is not None
    assert found.disabled_reason == ("nothing was taken for 73 hours; the last try: the receiver answered 500, not 2xx")


def test_two_secrets_sign_while_one_replaces_the_other(
    database: Database, settings: ServiceSettings, good: Receiver
) -> None:
    old = endpoint_for(database, good)
    with database.begin() as connection:
        webhook_store.rotate(connection, old, time.time())
        new = webhook_store.get(connection, old.id)
    assert new is not None
    told(database)
    run_due(database, settings)  # verified with the old secret by the receiver itself
    for endpoint in (old, new):
        Webhook(endpoint.secret).verify(good.bodies[0], good.signatures[0])
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(good.bodies[0], good.signatures[0])
    assert new.secrets(time.time() + webhook_store.OVERLAP + 1) == (new.secret,)


def test_a_late_finisher_changes_nothing(database: Database, good: Receiver) -> None:
    endpoint_for(database, good)
    told(database)
    (waiting,) = deliveries(database)
    now = time.time()
    outcome = delivery_store.Outcome(204, 0.1)
    with database.begin() as connection:
        late = delivery_store.claim(connection, waiting.id, 5, now)
        assert late is not None
        assert delivery_store.claim(connection, waiting.id, 5, now) is None
        second = delivery_store.claim(connection, waiting.id, 5, now + 6)
        assert second is not None
        assert not delivery_store.finish(connection, late, DeliveryStatus.DELIVERED, outcome, now)
        assert delivery_store.finish(connection, second, DeliveryStatus.DELIVERED, outcome, now)


def test_private_addresses_are_not_delivered_to(database: Database, settings: ServiceSettings, good: Receiver) -> None:
    endpoint_for(database, good)
    told(database)
    run_due(database, settings.model_copy(update={"allow_private_urls": False}))
    (delivery,) = deliveries(database)
    assert "an address inside a network" in (delivery.error or "")
    assert good.attempts == []


def test_receivers_share_fairly() -> None:
    dead = [Waiting(f"dead{number}", ready=1000, busy=0, suspect=True) for number in range(20)]
    fresh = Waiting("fresh", ready=3, busy=0, suspect=False)
    shares = webhooks.share([*dead, fresh], 4)
    assert shares == [("fresh", 2), *((f"dead{number}", 1) for number in range(4))]
    busy = [replace(waiting, busy=1) for waiting in dead[:4]]
    assert webhooks.share([*busy, *dead[4:], replace(fresh, busy=1)], 4) == [("fresh", 1)]


def test_old_events_are_forgotten(database: Database, settings: ServiceSettings, good: Receiver) -> None:
    endpoint_for(database, good)
    told(database), told(database)
    with database.begin() as connection:
        delivery_store.again_one(connection, deliveries(database)[0].id, time.time())
    deliver(deliveries(database)[0].id, database, settings)
    with database.begin() as connection:
        assert delivery_store.purge(connection, time.time() - 60) == 0
        assert delivery_store.purge(connection, time.time() + 1) == 2
        assert delivery_plan.receivers(connection, time.time()) == []


def test_the_api_names_every_event() -> None:
    assert get_args(WebhookEvent) == tuple(kind.value for kind in SUBSCRIBABLE)


def test_a_payload_without_links() -> None:
    assert body(EventType.TEST, 0.0, {"a": "ä"}, "http://x") == (
        '{"type":"webhook.test","timestamp":"1970-01-01T00:00:00.000Z","version":1,"data":{"a":"ä"}}'.encode()
    )


def test_a_job_that_is_done_at_once_says_so(database: Database, good: Receiver) -> None:
    endpoint_for(database, good)
    job = replace(new_job("uploads/1"), status=JobStatus.SUCCEEDED, finished=time.time())
    with database.begin() as connection:
        assert job_store.add(connection, job, job.id)
    assert kinds_of(database) == ["job.succeeded"]
