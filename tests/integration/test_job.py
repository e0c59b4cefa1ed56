"""One job at the worker's side, over a real database and a real folder: faults that no process has to die for."""

from pathlib import Path
from typing import BinaryIO

from shared.object_store import FileSystemStore, ObjectInfo
from tests.services.api import make_api
from worker.context import Context
from worker.job import run_job


class _Swept(FileSystemStore):
    """A folder from which somebody takes the first result in the moment in which it is stored."""

    results = 0

    def put(self, key: str, stream: BinaryIO, content_type: str, limit: int) -> ObjectInfo:
        stored = super().put(key, stream, content_type, limit)
        if key.startswith("results/"):
            self.results += 1
            if self.results == 1:
                self.delete(key)
        return stored


def test_a_result_that_goes_before_the_commit_is_made_again(tmp_path: Path) -> None:
    api = make_api(tmp_path, model="naive")
    job_id = api.submit().json["id"]
    assert isinstance(api.store, FileSystemStore)
    store = _Swept(api.store._root, "http://127.0.0.1", bytes(32))
    context = Context(api.settings, api.database, store)

    run_job(job_id, context)
    put_back = api.job(job_id)
    assert (put_back.status.value, put_back.error_code) == ("queued", "store_unavailable")

    run_job(job_id, context)
    done = api.job(job_id)
    assert (done.status.value, done.attempt, store.results) == ("succeeded", 2, 2)
    assert api.get(f"/v1/jobs/{job_id}").json["result"]["megapixels"] > 0
    api.database.dispose()
