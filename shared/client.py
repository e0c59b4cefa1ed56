"""A client of the service: submit a photo or a whole batch, wait for it, fetch the result."""

import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import requests

from shared.backfill.manifest import Form, form_of
from shared.backfill.rows import BackfillError
from shared.batches import BatchStatus
from shared.errors import ClientError
from shared.files import whole_file
from shared.jobs import JobStatus, Queue
from shared.remote_batch import BatchPage, RemoteBatch, parse_batch, parse_batch_page
from shared.remote_job import Page, RemoteJob, parse_job, parse_page, value_of
from shared.settings import ClientSettings
from shared.transport import ATTEMPTS, Call, Transport

LONGEST_POLL: Final = 60  # seconds that the service holds one request
POLL_PAUSE: Final = 0.25  # seconds at least between two polls, should the service not hold them
CHUNK: Final = 1 << 18  # bytes of a result that are held at once
PARTS: Final = frozenset({"base", "gainmap", "mask", "metadata"})  # what a result can be taken apart into
BATCH_PARTS: Final = frozenset({"report", "summary"})
ROWS: Final = 1000  # of a batch in one page

__all__ = ["BatchPage", "Client", "Page", "RemoteBatch", "RemoteJob"]


class Client:
    """One service, one key. Every method raises ClientError where the service refuses or does not answer."""

    def __init__(
        self, url: str, api_key: str, sleep: Callable[[float], None] = time.sleep, attempts: int = ATTEMPTS
    ) -> None:
        self._transport = Transport(url, api_key, sleep, attempts)
        self._sleep = sleep

    @classmethod
    def of(
        cls, settings: ClientSettings, sleep: Callable[[float], None] = time.sleep, attempts: int = ATTEMPTS
    ) -> Self:
        """The client that the environment describes; `attempts` of each call before it fails.

        Raises:
            ClientError: `no_key` or `bad_url`.
        """
        if settings.api_key is None:
            raise ClientError("no_key", 0, "no API key: set REGAIN_API_KEY to what `regain keys create` showed")
        return cls(settings.url, settings.api_key.get_secret_value(), sleep, attempts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def submit(  # noqa: PLR0913  (all but the photo may be left out)
        self,
        photo: Path | bytes,
        *,
        original: Path | bytes | None = None,
        options: Mapping[str, Any] | None = None,
        model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        queue: Queue | None = None,
        idempotency_key: str | None = None,
        wait: int = 0,
    ) -> RemoteJob:
        """Hand in a photo; with `wait` (seconds) the answer may be the finished job already.

        Sent again after a fault it stays one job, for every attempt carries the same Idempotency-Key.
        """
        files = {"photo": _part(photo)} | ({} if original is None else {"original": _part(original)})
        form = {name: json.dumps(value) for name, value in (("options", options), ("metadata", metadata)) if value}
        if model is not None:
            form["model"] = model
        if queue is not None:
            form["queue"] = queue.value
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        if wait:
            headers["Prefer"] = f"wait={min(wait, LONGEST_POLL)}"
        call = Call("POST", "/v1/jobs", files=files, form=form, headers=headers, patience=wait)
        return parse_job(self._transport.json(call))

    def get(self, job_id: str, wait: int = 0) -> RemoteJob:
        """A job as it stands; with `wait` (seconds) the service holds the answer until it has news."""
        query = {"wait": str(min(wait, LONGEST_POLL))} if wait else None
        return parse_job(self._transport.json(Call("GET", _path(job_id), query=query, patience=wait)))

    def wait(
        self,
        job_id: str,
        timeout: float = math.inf,
        poll: int = 20,
        on_news: Callable[[RemoteJob], None] | None = None,
    ) -> RemoteJob:
        """The job once it is final; `on_news` sees it after each poll of `poll` seconds.

        Raises:
            ClientError: `timeout` where it is not final after `timeout` seconds; the job goes on.
        """
        end = time.monotonic() + timeout
        while True:
            asked = time.monotonic()
            job = self.get(job_id, wait=max(1, min(poll, LONGEST_POLL, _whole(end - asked))))
            if on_news is not None:
                on_news(job)
            if job.is_final:
                return job
            if time.monotonic() >= end:
                raise ClientError("timeout", 0, f"job {job_id} is still {job.status} after {timeout:g} s; it goes on")
            self._sleep(max(0.0, POLL_PAUSE - (time.monotonic() - asked)))

    def result(self, job_id: str, part: str | None = None) -> bytes:
        """The finished file, or one of PARTS, in memory."""
        return self._transport.fetch(self._result_call(job_id, part), lambda response: response.content)

    def download(
        self,
        job_id: str,
        path: Path,
        part: str | None = None,
        on_bytes: Callable[[int, int | None], None] | None = None,
    ) -> int:
        """Write the finished file, or one of PARTS, whole or not at all; returns its size in bytes.

        `on_bytes` hears how many bytes are there, and of how many if that is known.

        Raises:
            ClientError: also `file`, where the path cannot be written.
        """

        return self._saved(self._result_call(job_id, part), path, on_bytes)

    def list(self, state: JobStatus | None = None, created_after: str | None = None, cursor: str | None = None) -> Page:
        """One page of jobs."""
        asked = (("state", state), ("created_after", created_after), ("cursor", cursor))
        query = {name: str(value) for name, value in asked if value}
        return parse_page(self._transport.json(Call("GET", "/v1/jobs", query=query)))

    def every(self, state: JobStatus | None = None) -> Iterator[RemoteJob]:
        """All jobs, page after page."""
        cursor = None
        while True:
            page = self.list(state, cursor=cursor)
            yield from page.jobs
            cursor = page.next
            if cursor is None:
                return

    def cancel(self, job_id: str) -> RemoteJob:
        """Call a job off."""
        return parse_job(self._transport.json(Call("POST", f"{_path(job_id)}/cancel")))

    def delete(self, job_id: str) -> None:
        """Remove a job and its objects."""
        self._transport.json(Call("DELETE", _path(job_id)))

    def retry(self, job_id: str) -> RemoteJob:
        """Put a failed, canceled or dead job back into its queue."""
        return parse_job(self._transport.json(Call("POST", f"{_path(job_id)}/retry", repeatable=False)))

    def audit(self, photo: Path | bytes) -> dict[str, Any]:
        """What the service's auditor finds in a file."""
        return self._transport.json(Call("POST", "/v1/audit", files={"photo": _part(photo)}))

    def upload_manifest(self, path: Path) -> str:
        """Send a manifest (.jsonl, .ndjson or .csv) straight to the store; the upload's id.

        Raises:
            ClientError: also `unknown_manifest` and `file`.
        """
        try:
            kind = "text/csv" if form_of(path.name) is Form.CSV else "application/x-ndjson"
        except BackfillError as error:
            raise ClientError(error.code, 0, str(error)) from error
        body = {"content_type": kind, "name": path.name}
        target = self._transport.json(Call("POST", "/v1/uploads", body=body))
        self._transport.send_file(target, path)
        return str(target["id"])

    def submit_batch(  # noqa: PLR0913  (all but the manifest may be left out)
        self,
        manifest: Mapping[str, Any],
        *,
        form: str | None = None,
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
        model: str | None = None,
        output: Mapping[str, Any] | None = None,
        webhook: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        retention_hours: float | None = None,
        idempotency_key: str | None = None,
    ) -> RemoteBatch:
        """Hand in a manifest: `{"inline": text}`, `{"upload": id}` or `{"s3": "bucket/key"}`.

        Sent again after a fault it stays one batch, for every attempt carries the same Idempotency-Key.
        """
        said = {
            "manifest": dict(manifest),
            "format": form,
            "name": name,
            "options": options,
            "model": model,
            "output": output,
            "webhook": webhook,
            "metadata": metadata,
            "retention_hours": retention_hours,
        }
        body = {field: value for field, value in said.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return parse_batch(self._transport.json(Call("POST", "/v1/batches", body=body, headers=headers)))

    def batch(self, batch_id: str) -> RemoteBatch:
        """A batch as it stands."""
        return parse_batch(self._transport.json(Call("GET", _batch_path(batch_id))))

    def batches(self, status: BatchStatus | None = None, cursor: str | None = None) -> BatchPage:
        """One page of batches, newest first."""
        query = {name: str(value) for name, value in (("status", status), ("cursor", cursor)) if value}
        return parse_batch_page(self._transport.json(Call("GET", "/v1/batches", query=query)))

    def batch_rows(self, batch_id: str, outcome: str | None = None) -> Iterator[dict[str, Any]]:
        """Rows of a batch by line, page after page, as the service writes them."""
        query = {"limit": str(ROWS)} | ({} if outcome is None else {"outcome": outcome})
        while True:
            page = self._transport.json(Call("GET", f"{_batch_path(batch_id)}/rows", query=query))
            yield from value_of(page, "rows")
            if page.get("next") is None:
                return
            query["cursor"] = str(page["next"])

    def pause_batch(self, batch_id: str) -> RemoteBatch:
        """Let a batch make no further jobs."""
        return self._change_batch(batch_id, "pause")

    def resume_batch(self, batch_id: str) -> RemoteBatch:
        """Let a paused batch go on."""
        return self._change_batch(batch_id, "resume")

    def cancel_batch(self, batch_id: str) -> RemoteBatch:
        """Call a batch off."""
        return self._change_batch(batch_id, "cancel")

    def rerun_batch(self, batch_id: str) -> RemoteBatch:
        """Run the failed rows of an ended batch again."""
        return self._change_batch(batch_id, "rerun", repeatable=False)

    def delete_batch(self, batch_id: str) -> None:
        """Remove an ended batch with its rows, reports, jobs and their objects."""
        self._transport.json(Call("DELETE", _batch_path(batch_id)))

    def download_batch_report(self, batch_id: str, path: Path, part: str = "report") -> int:
        """Write the `report` (JSONL) or `summary` (CSV), whole or not at all; returns its size in bytes.

        Raises:
            ClientError: also `file`, where the path cannot be written.
        """
        if part not in BATCH_PARTS:
            raise ClientError("bad_part", 0, f"a batch has no {part!r}; give one of {', '.join(sorted(BATCH_PARTS))}")
        return self._saved(Call("GET", f"{_batch_path(batch_id)}/{part}"), path, None)

    def _change_batch(self, batch_id: str, what: str, *, repeatable: bool = True) -> RemoteBatch:
        call = Call("POST", f"{_batch_path(batch_id)}/{what}", repeatable=repeatable)
        return parse_batch(self._transport.json(call))

    def _saved(self, call: Call, path: Path, on_bytes: Callable[[int, int | None], None] | None) -> int:
        def read(response: requests.Response) -> int:
            size = response.headers.get("Content-Length", "")
            done = 0
            with whole_file(path) as stream:
                for chunk in response.iter_content(CHUNK):
                    stream.write(chunk)
                    done += len(chunk)
                    if on_bytes is not None:
                        on_bytes(done, int(size) if size.isdecimal() else None)
            return done

        try:
            return self._transport.fetch(call, read)
        except OSError as error:
            raise ClientError(
                "file", 0, f"{path}: cannot be written ({error.strerror}); choose another place"
            ) from error

    def _result_call(self, job_id: str, part: str | None) -> Call:
        if part is not None and part not in PARTS:
            raise ClientError("bad_part", 0, f"a result has no {part!r}; give one of {', '.join(sorted(PARTS))}")
        return Call("GET", f"{_path(job_id)}/{part or 'result'}")


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _batch_path(batch_id: str) -> str:
    return f"/v1/batches/{quote(batch_id, safe='')}"


def _whole(seconds: float) -> int:
    return LONGEST_POLL if seconds > LONGEST_POLL else math.ceil(max(0.0, seconds))


def _part(file: Path | bytes) -> tuple[str, bytes]:
    if isinstance(file, bytes):
        return "photo", file
    try:
        return file.name, file.read_bytes()
    except OSError as error:
        raise ClientError("file", 0, f"{file}: cannot be read ({error.strerror}); check the name") from error
