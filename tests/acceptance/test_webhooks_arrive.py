"""Whatever a receiver does, every event arrives in the end, once by its id. Real processes over real sockets."""

import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from shared.database import job_store, webhook_store
from shared.database.tables import webhook_deliveries
from shared.events import EventType
from shared.signing import tenant_secret
from tests.golden.recipe import photo
from tests.services.receiver import Receiver, receiver, self_signed
from tests.services.stack import Stack, kill_group, new_job, wait_for

SECONDS = 1.0  # that a receiver has
# Each try follows soon, so that a test sees all of them.
QUICK = {
    "REGAIN_ALLOW_PRIVATE_URLS": "true",
    "REGAIN_WEBHOOK_SECONDS": str(SECONDS),
    "REGAIN_WEBHOOK_SCHEDULE": "[0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
}
MODES = ("500", "silent", "redirect", "drip", "huge", "tls", "closed")
EVENTS = 4  # for each receiver


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path, QUICK) as running:
        yield running


def start_sender(stack: Stack) -> None:
    """The webhooks worker; returns once it serves."""
    log = stack.folder / "processes.log"
    before = log.read_text().count(" ready.")
    stack.start("worker", "--queues", "webhooks")
    wait_for(lambda: log.read_text().count(" ready.") > before, 30)


def endpoint(stack: Stack, to: Receiver, url: str | None = None) -> str:
    with stack.database.begin() as connection:
        made = webhook_store.create(connection, "tests", url or to.url, [EventType.JOB_CANCELED], time.time())
    assert made is not None
    to.secret = made.secret
    return made.id


def called_off(stack: Stack, number: int) -> None:
    """Jobs that end at once: an event each, for every endpoint."""
    for _ in range(number):
        job = new_job("uploads/1")
        with stack.database.begin() as connection:
            assert job_store.add(connection, job, job.id)
            assert job_store.cancel(connection, job.id, time.time())


def statuses(stack: Stack) -> dict[str, int]:
    with stack.database.read() as connection:
        rows = list(connection.execute(select(webhook_deliveries.c.status)).scalars())
    return {status: rows.count(status) for status in set(rows)}


def test_receivers_that_fail_in_every_way_and_come_back(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as servers:
        bad = {
            mode: servers.enter_context(receiver(mode, self_signed(tmp_path / "tls.pem") if mode == "tls" else None))
            for mode in MODES
        }
        good = servers.enter_context(receiver())
        with receiver() as gone:
            closed = gone.url
        ids = {mode: endpoint(stack, bad[mode], closed if mode == "closed" else None) for mode in MODES}
        endpoint(stack, good)
        stack.start_control()
        start_sender(stack)
        called_off(stack, EVENTS)
        took = wait_for(lambda: len(good.ids) == EVENTS, 20)
        time.sleep(2)
        begun = time.monotonic()
        called_off(stack, 1)  # while everybody else is known to be dead
        later = wait_for(lambda: len(good.ids) == EVENTS + 1, 20)
        assert later < 2 * SECONDS, f"{later:.1f} s behind the dead ones"
        assert all(bad[mode].attempts for mode in MODES if mode not in ("tls", "closed"))

        # They come back; who could not be reached gets another address.
        for mode, to in bad.items():
            to.mode = "ok"
            if mode in ("tls", "closed"):
                bad[mode] = servers.enter_context(receiver())
                bad[mode].secret = to.secret
                with stack.database.begin() as connection:
                    webhook_store.change(connection, ids[mode], time.time(), url=bad[mode].url)
        wait_for(lambda: statuses(stack) == {"delivered": (EVENTS + 1) * (len(MODES) + 1)}, 40)
        with capsys.disabled():
            print(f"\n    good receiver among {len(MODES)} dead ones: {took:.2f} s, later {later:.2f} s")
            print(f"    all back, everything delivered after {time.monotonic() - begun:.1f} s")
        for to in (*bad.values(), good):
            assert len(to.ids) == len(set(to.ids)) == EVENTS + 1
            assert set(to.ids) == set(good.ids)


def test_a_sender_killed_in_mid_delivery(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver("silent") as to:
        endpoint(stack, to)
        stack.start_control()
        start_sender(stack)
        called_off(stack, 1)
        wait_for(lambda: len(to.attempts) == 1, 10)
        kill_group(stack.processes[-1])
        begun = time.monotonic()
        to.mode = "ok"
        start_sender(stack)
        wait_for(lambda: len(to.ids) == 1, 30)
        with capsys.disabled():
            print(f"\n    sender killed in mid-delivery, delivered after {time.monotonic() - begun:.1f} s")
        assert to.ids == to.attempts[:1]
        wait_for(lambda: statuses(stack) == {"delivered": 1}, 5)


def test_a_wiped_broker_loses_no_event(stack: Stack) -> None:
    with receiver() as to:
        endpoint(stack, to)
        called_off(stack, 20)
        stack.start_control()
        wait_for(lambda: stack.redis.llen("hdr:webhooks") > 0, 20)
        stack.redis.flushall()
        with stack.database.begin() as connection:  # as if the announcements' time were over
            connection.execute(webhook_deliveries.update().values(announced_until=time.time() - 1))
        start_sender(stack)
        wait_for(lambda: len(set(to.ids)) == 20, 30)


def test_a_sender_survives_its_broker(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver() as to:
        endpoint(stack, to)
        stack.start_control()
        start_sender(stack)
        to.mode = "silent"
        called_off(stack, 1)
        wait_for(lambda: len(to.attempts) == 1, 20)
        stack.kill_broker()  # with a request under way
        called_off(stack, 3)
        time.sleep(1)
        to.mode = "ok"
        stack.start_broker()
        took = wait_for(lambda: len(set(to.ids)) == 4, 30)
        assert stack.processes[-1].poll() is None, "the sender ended"
        with capsys.disabled():
            print(f"\n    broker killed, back after 1 s, events delivered after {took:.1f} s")


def test_a_job_in_a_real_worker_tells_its_own_webhook(stack: Stack) -> None:
    with receiver() as to:
        to.secret = tenant_secret(stack.settings.signing_secret(), "tests")
        wanted = ["job.queued", "job.running", "job.progress", "job.succeeded"]
        job = replace(new_job("uploads/1"), webhook={"url": to.url, "events": wanted}, metadata={"order": 7})
        stack.store.put(job.source_key, io.BytesIO(photo()), "image/jpeg", 1 << 20)
        with stack.database.begin() as connection:
            assert job_store.add(connection, job, job.id)
        stack.start_control()
        start_sender(stack)
        stack.start_worker()
        wait_for(lambda: any(payload["type"] == "job.succeeded" for _, payload in to.taken), 30)
        wait_for(lambda: set(statuses(stack)) == {"delivered"}, 10)
        assert {payload["type"] for _, payload in to.taken} == set(wanted)
        (done,) = (payload["data"] for _, payload in to.taken if payload["type"] == "job.succeeded")
        assert (done["id"], done["status"], done["metadata"]) == (job.id, "succeeded", {"order": 7})
        stages = {payload["data"]["stage"] for _, payload in to.taken if payload["type"] == "job.progress"}
        assert stages >= {"decode", "predict", "store"}
