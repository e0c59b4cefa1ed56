"""The API's calls about webhooks, over SQLite; deliveries are made by the worker's own function."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from shared.database import Database, job_store, key_store, migrate
from shared.database.key_store import Scope
from shared.service import open_database
from shared.settings import ServiceSettings
from tests.services.receiver import Receiver, receiver
from tests.services.stack import new_job
from worker.delivery import deliver


class Caller:
    """A key of the tenant `tests`, and one of another."""

    def __init__(self, settings: ServiceSettings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.client: FlaskClient = create_app(settings).test_client()
        with database.begin() as connection:
            made = [
                key_store.create(connection, tenant, "test", scopes)[1]
                for tenant, scopes in (("tests", list(Scope)), ("other", list(Scope)), ("tests", [Scope.JOBS_READ]))
            ]
        self.mine, self.strange, self.weak = ({"Authorization": f"Bearer {text}"} for text in made)

    def __call__(
        self, method: str, path: str, body: Any = None, *, key: dict[str, str] | None = None, status: int = 200
    ) -> Any:
        """Call, and expect a status; the answer's JSON."""
        answer = self.client.open(f"/v1/webhooks{path}", method=method, json=body, headers=key or self.mine)
        assert answer.status_code == status, answer.text
        return answer.json

    def job(self) -> str:
        """A job that is submitted and called off: two events."""
        job = new_job("uploads/1")
        with self.database.begin() as connection:
            job_store.add(connection, job, job.id)
            job_store.cancel(connection, job.id, time.time())
        return job.id

    def run(self, endpoint: str) -> list[dict[str, Any]]:
        """Deliver what is there; the list afterwards."""
        for delivery in self("GET", f"/{endpoint}/deliveries")["deliveries"]:
            deliver(delivery["id"], self.database, self.settings)
        return list(self("GET", f"/{endpoint}/deliveries")["deliveries"])


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Caller]:
    settings = ServiceSettings(data_dir=tmp_path, allow_private_urls=True)
    database = open_database(settings)
    migrate(database)
    caller = Caller(settings, database)
    yield caller
    database.dispose()
    caller.client.application.extensions["regain"].database.dispose()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def test_the_life_of_an_endpoint(call: Caller, hook: Receiver) -> None:
    made = call("POST", "", {"url": hook.url, "events": ["job.canceled"], "description": "CMS"}, status=201)
    here = f"/{made['id']}"
    hook.secret = made["secret"]
    shown = call("GET", here)
    assert "secret" not in shown
    assert made == shown | {"secret": made["secret"]}
    assert call("GET", "") == {"webhooks": [shown]}

    test = call("POST", f"{here}/test", status=202)
    job_id = call.job()
    sent = call.run(made["id"])
    assert [(one["type"], one["status"], one["code"], one["job"]) for one in sent] == [
        ("job.canceled", "delivered", 204, job_id),
        ("webhook.test", "delivered", 204, None),
    ]
    assert test["id"] == sent[1]["id"]

    rotated = call("POST", f"{here}/rotate")
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_until"] is not None
    call.job()
    assert call.run(made["id"])[0]["status"] == "delivered"  # verified with the secret before

    changed = call("PATCH", here, {"events": [], "enabled": False})
    assert (changed["events"], changed["enabled"]) == ([], False)
    assert changed["disabled_reason"] == "disabled by its owner"
    call.job()
    assert len(call("GET", f"{here}/deliveries")["deliveries"]) == 3
    assert call("POST", f"{here}/test", status=409)["code"] == "webhook_disabled"
    assert call("PATCH", here, {"enabled": True})["disabled_reason"] is None
    call("DELETE", here, status=204)
    assert call("GET", here, status=404)["code"] == "webhook_not_found"


def test_what_was_missed_is_delivered_again(call: Caller, hook: Receiver) -> None:
    made = call("POST", "", {"url": hook.url}, status=201)
    here = f"/{made['id']}"
    hook.secret, hook.mode = made["secret"], "410"
    call.job()
    assert {one["status"] for one in call.run(made["id"])} == {"failed", "canceled"}
    call("PATCH", here, {"enabled": True})
    hook.mode = "ok"
    assert call("POST", f"{here}/redeliver", {"since": "2020-01-01"}, status=202) == {"deliveries": 2}
    first, second = call.run(made["id"])
    assert (first["status"], second["status"]) == ("delivered", "delivered")
    assert call("POST", f"{here}/redeliver", {"since": "2020-01-01"}, status=202) == {"deliveries": 0}
    assert call("POST", f"{here}/redeliver", {"since": "2999-01-01", "status": ["delivered"]}, status=202) == {
        "deliveries": 0
    }
    again = call("POST", f"{here}/deliveries/{first['id']}/redeliver", status=202)
    assert (again["status"], again["event"]) == ("pending", first["event"])
    call.run(made["id"])
    assert sorted(hook.ids) == sorted([first["event"], first["event"], second["event"]])


def test_pages_of_deliveries(call: Caller, hook: Receiver) -> None:
    made = call("POST", "", {"url": hook.url}, status=201)
    for _ in range(3):
        call.job()
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = call("GET", f"/{made['id']}/deliveries?limit=4{cursor and '&cursor=' + cursor}")
        seen += [one["id"] for one in page["deliveries"]]
        cursor = page["next"]
    assert len(set(seen)) == len(seen) == 6
    assert call("GET", f"/{made['id']}/deliveries?limit=6")["next"] is None
    assert call("GET", f"/{made['id']}/deliveries?status=failed")["deliveries"] == []


def test_refusals(call: Caller, hook: Receiver) -> None:
    made = call("POST", "", {"url": hook.url}, status=201)
    here = f"/{made['id']}"
    assert call("GET", here, key=call.strange, status=404)["code"] == "webhook_not_found"
    assert call("GET", "", key=call.strange) == {"webhooks": []}
    assert call("GET", "", key=call.weak, status=403)["code"] == "missing_scope"
    assert call("GET", "/nonsense", status=404)["code"] == "malformed_id"
    assert call("POST", "", {"url": "http://user:pass@host/"}, status=422)["code"] == "url_not_allowed"
    for body in ({"url": "ftp://host/"}, {"url": hook.url, "events": ["webhook.test"]}, {}, {"url": hook.url, "x": 1}):
        assert call("POST", "", body, status=422)["code"] == "invalid_request"
    assert call("PATCH", here, {}, status=422)["code"] == "invalid_request"
    assert call("POST", f"{here}/redeliver", {"since": "yesterday"}, status=422)["code"] == "invalid_request"
    unknown = f"{here}/deliveries/{'0' * 32}/redeliver"
    assert call("POST", unknown, status=404)["code"] == "delivery_not_found"
    for _ in range(19):
        call("POST", "", {"url": hook.url}, status=201)
    assert call("POST", "", {"url": hook.url}, status=409)["code"] == "too_many_webhooks"


def test_the_secret_of_jobs_is_the_tenants_own(call: Caller) -> None:
    mine, other = call("GET", "/secret"), call("GET", "/secret", key=call.strange)
    assert mine["secret"].startswith("whsec_")
    assert mine != other
    assert mine == call("GET", "/secret")
