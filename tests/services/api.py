"""The API in this process, over real stores, and a hand that does what workers do to a job's row."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from api.app import create_app
from shared.database import Database, job_store, key_store, migrate
from shared.database.key_store import Scope
from shared.database.tables import tables
from shared.jobs import Job
from shared.object_store import ObjectStore
from shared.service import open_database, open_store
from shared.settings import ServiceSettings
from tests.golden.recipe import Recipe, build, photo

Answer = Any  # werkzeug's TestResponse; what its JSON holds is for the test to say
EVERYTHING = tuple(Scope)
RESULT = {
    "outcome": "restored",
    "metadata": {"gain_map_max": 2.0},
    "audit": [{"code": "x", "severity": "note", "message": "a note"}],
    "notes": [],
}


@dataclass
class Api:
    """One running API; `headers` carry a key of the tenant `one` that may do everything."""

    settings: ServiceSettings
    database: Database
    store: ObjectStore
    client: Any  # of Flask
    headers: dict[str, str] = field(default_factory=dict)

    def key(
        self, tenant: str = "one", scopes: Sequence[Scope] = EVERYTHING, quota: int | None = None
    ) -> dict[str, str]:
        """The headers of a new key."""
        with self.database.begin() as connection:
            _, key_text = key_store.create(connection, tenant, "test", scopes, quota)
        return {"Authorization": f"Bearer {key_text}"}

    def submit(
        self,
        data: bytes | None = None,
        *,
        name: str = "a.jpg",
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Answer:
        """POST a photo as a form."""
        form = {"photo": (io.BytesIO(photo() if data is None else data), name), **fields}
        return self.client.post("/v1/jobs", data=form, headers={**self.headers, **(headers or {})})

    def call(self, method: str, path: str, **more: Any) -> Answer:
        """Any call with the key."""
        headers = {**self.headers, **more.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Answer:
        """GET with the key."""
        return self.call("GET", path, **more)

    def job(self, job_id: str) -> Job:
        """The row."""
        with self.database.read() as connection:
            job = job_store.get(connection, job_id)
        assert job is not None
        return job

    def claim(self, job_id: str) -> Job:
        """What a worker does first."""
        with self.database.begin() as connection:
            job = job_store.claim(connection, job_id, "host/1", 60, time.time())
        assert job is not None
        return job

    def finish(self, job_id: str, data: bytes | None = None, outcome: str = "restored") -> bytes:
        """Claim a job, store a result and succeed; the result's bytes."""
        job = self.claim(job_id)
        data = build(Recipe()) if data is None else data
        self.store.put(job.result_key, io.BytesIO(data), "image/jpeg", 1 << 27)
        with self.database.begin() as connection:
            result = {**RESULT, "size": len(data), "outcome": outcome}
            assert job_store.succeed(connection, job, result, {"predict": 0.5}, time.time())
        return data

    def fail(self, job_id: str) -> None:
        """Claim a job and find its photo wanting."""
        job = self.claim(job_id)
        with self.database.begin() as connection:
            assert job_store.fail(connection, job, "damaged", "the photo is damaged", time.time())

    def everything(self) -> tuple[list[str], int, int, int]:
        """Keys of all objects, and the number of jobs, messages and reservations: what a refusal must leave alone."""
        with self.database.read() as connection:
            rows = [
                connection.execute(text(f"select count(*) from {table}")).scalar_one()
                for table in ("jobs", "outbox", "idempotency")
            ]
        return sorted(info.key for info in self.store.list("")), rows[0], rows[1], rows[2]


def make_api(folder: Path, url: str | None = None, **settings: Any) -> Api:
    """An API over an empty database; without a broker unless one is named."""
    made = ServiceSettings(data_dir=folder, database_url=url, **settings)
    database = open_database(made)
    migrate(database)
    with database.begin() as connection:
        for table in reversed(tables.sorted_tables):
            connection.execute(table.delete())
    api = Api(made, database, open_store(made), create_app(made).test_client())
    api.headers = api.key()
    return api


def close(api: Api) -> None:
    """Close the connections of both sides."""
    api.database.dispose()
    api.client.application.extensions["regain"].database.dispose()
