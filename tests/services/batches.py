"""The duties of batches by hand, over a test's API: one process, no broker, every piece when the test says so."""

import json
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from shared.buckets import Buckets
from shared.jobs import JobStatus
from shared.submission import Submitter
from tests.services.api import Answer, Api
from worker.batches.collector import Collector
from worker.batches.feeder import Feeder
from worker.batches.finisher import Finisher
from worker.batches.validator import Validator

PATIENCE = 30.0  # seconds


class Duties:
    """What the control loop's threads do; made anew they remember nothing, as after a kill."""

    def __init__(self, api: Api) -> None:
        self._api = api
        database, store, settings = api.database, api.store, api.settings
        self.validator = Validator(database, store, Buckets(settings))
        self.feeder = Feeder(settings, database, store, Submitter(settings, database, store, None))
        self.collector = Collector(settings, database, store)
        self.finisher = Finisher(database, store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for duty in (self.validator, self.feeder, self.collector, self.finisher):
            duty.close()

    def validate(self) -> None:
        """Until no manifest is left to read."""
        _until(lambda: not self.validator.look())

    def feed(self) -> None:
        """Until no row can become a job now."""
        quiet = 0
        while quiet < 3:
            quiet = 0 if self.feeder.look() or self.feeder._at_work else quiet + 1
            time.sleep(0.01)

    def finish(self) -> None:
        """Until no batch has an end to come to."""
        _until(lambda: not self.finisher.look())

    def work(self, *, fail: Sequence[str] = (), unchanged: Sequence[str] = ()) -> int:
        """What workers do to every queued job, by its photo's name; how many there were."""
        jobs = self._api.get("/v1/jobs?state=queued&limit=200").json["jobs"]
        for job in jobs:
            if job["name"] in fail:
                self._api.fail(job["id"])
            else:
                self._api.finish(job["id"], outcome="unchanged" if job["name"] in unchanged else "restored")
        return len(jobs)

    def run(self, **named: Any) -> None:
        """Everything, until nothing is left to do."""
        self.validate()
        while True:
            self.feed()
            worked = self.work(**named)
            collected = self.collector.look()
            if not (self.finisher.look() or worked or collected):
                return


def jsonl(*rows: dict[str, Any] | str) -> str:
    """A manifest; a text stands for itself."""
    return "".join(row + "\n" if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def submit(api: Api, manifest: str | dict[str, Any], **named: Any) -> Answer:
    """POST a batch; a text is its manifest."""
    said = {"inline": manifest} if isinstance(manifest, str) else manifest
    headers = named.pop("headers", {})
    return api.call("POST", "/v1/batches", json={"manifest": said, **named}, headers=headers)


def show(api: Api, batch_id: str) -> dict[str, Any]:
    """A batch."""
    found: dict[str, Any] = api.get(f"/v1/batches/{batch_id}").json
    return found


def rows(api: Api, batch_id: str, query: str = "") -> list[dict[str, Any]]:
    """All rows, page after page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = api.get(f"/v1/batches/{batch_id}/rows?limit=7{query}{cursor}").json
        found += page["rows"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def queued(api: Api) -> int:
    """Jobs that wait for a worker."""
    return sum(job["status"] == JobStatus.QUEUED for job in api.get("/v1/jobs?limit=200").json["jobs"])


def _until(done: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE:g} s")
