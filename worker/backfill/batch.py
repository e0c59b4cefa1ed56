"""A backfill of photos that the service reaches by itself: one batch there, found again by what was asked."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.backfill.manifest import form_of, read_manifest
from shared.backfill.rows import BackfillError, Row
from shared.batches import BatchStatus
from shared.client import Client, RemoteBatch
from worker.backfill.patience import Patience

BUCKET: Final = "s3://"
REMOTE: Final = (BUCKET, "https://", "http://", "upload:")
MANIFESTS: Final = (".jsonl", ".ndjson", ".csv")
INLINE_BYTES: Final = 64 << 10  # of a manifest that goes along with the request; a longer one is uploaded first
POLL: Final = 2.0  # seconds between two looks at a batch
ASKED: Final = "regain_backfill"  # in a batch's metadata: a digest of what was asked
OPEN: Final = (BatchStatus.VALIDATING, BatchStatus.RUNNING, BatchStatus.PAUSED, BatchStatus.COMPLETING)


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch to be run: `source` is `s3://bucket/prefix/`, `s3://bucket/manifest.jsonl`, or a manifest's path here."""

    source: str
    options: Mapping[str, Any]  # what differs from the defaults
    model: str | None
    output: Mapping[str, Any] | None  # {prefix, template, overwrite}; None: results stay with their jobs

    def submit(self, client: Client) -> RemoteBatch:
        """Hand it in.

        Raises:
            ClientError: the service refuses it, or the manifest cannot be read.
        """
        return client.submit_batch(
            self._manifest(client),
            form=None if self.source.startswith(BUCKET) else form_of(self.source).value,
            name=self.source[-200:],
            options=self.options or None,
            model=self.model,
            output=self.output,
            metadata={ASKED: self.digest()},
        )

    def digest(self) -> str:
        """The same for the same command over the same manifest."""
        content = ""
        if not self.source.startswith(BUCKET):
            with Path(self.source).open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        said = [
            self.source,
            content,
            dict(self.options),
            self.model,
            None if self.output is None else dict(self.output),
        ]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _manifest(self, client: Client) -> dict[str, str]:
        if self.source.startswith(BUCKET):
            return {"s3": self.source.removeprefix(BUCKET)}
        path = Path(self.source)
        if path.stat().st_size <= INLINE_BYTES:
            try:
                return {"inline": path.read_text(encoding="utf-8")}
            except UnicodeDecodeError:
                pass  # line by line the service says which
        return {"upload": client.upload_manifest(path)}


def bucket_source(source: str) -> str:
    """A manifest in a bucket as it is, or a prefix with the slash that says so.

    Raises:
        BackfillError: `bad_bucket`.
    """
    bucket, _, key = source.removeprefix(BUCKET).partition("/")
    if not bucket:
        raise BackfillError("bad_bucket", f"{source}: names no bucket; write s3://bucket/prefix/")
    return source if source.lower().endswith(MANIFESTS) or (key and source.endswith("/")) else f"{source.rstrip('/')}/"


def is_for_the_service(manifest: Path) -> bool:
    """Whether a manifest's photos lie where the service reaches them, rather than on this machine.

    Raises:
        BackfillError: `mixed_sources`; or it is no manifest.
    """
    first: dict[bool, Row] = {}
    form = form_of(manifest.name)
    try:
        with manifest.open("rb") as stream:
            for row in read_manifest(stream, form):
                if isinstance(row, Row):
                    first.setdefault(row.source.startswith(REMOTE), row)
    except OSError as error:
        raise BackfillError("file", f"{manifest}: cannot be read ({error.strerror}); check its permissions") from error
    if len(first) == 2:
        raise BackfillError(
            "mixed_sources",
            f"{manifest}: line {first[True].line} names a photo on the net, line {first[False].line} a file of this "
            "machine; make a manifest of each kind",
        )
    return True in first


def every(client: Client, status: BatchStatus | None) -> Iterator[RemoteBatch]:
    """All batches, or those in a state, newest first, page after page."""
    cursor = None
    while True:
        page = client.batches(status, cursor)
        yield from page.batches
        cursor = page.next
        if cursor is None:
            return


def find_open(client: Client, asked: Asked) -> RemoteBatch | None:
    """The batch that was made of just this, while it has not ended."""
    digest = asked.digest()
    for status in OPEN:  # in the order in which a batch goes through them, so that none slips by
        for batch in every(client, status):
            if (batch.answer.get("metadata") or {}).get(ASKED) == digest:
                return batch
    return None


def watch(client: Client, patience: Patience, batch: RemoteBatch, news: Callable[[RemoteBatch], None]) -> RemoteBatch:
    """The batch once it has ended; `news` sees it at each look.

    Raises:
        ClientError: it is gone, or the service is away for too long.
    """
    batch_id = batch.id
    while True:
        news(batch)
        if batch.has_ended:
            return batch
        patience.pause(POLL)
        batch = patience.ask(lambda: client.batch(batch_id))
