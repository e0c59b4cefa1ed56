"""A batch and its rows as JSON: the shapes that the API answers with and that webhooks carry."""

from collections.abc import Mapping
from typing import Any

from shared.batches import Batch, BatchRow, RowState
from shared.job_view import maybe_stamp, stamp


def batch_view(batch: Batch, failures: Mapping[str, int]) -> dict[str, Any]:
    """A batch as callers see it, its links as paths; `failures` is how often each code ended a row."""
    here = f"/v1/batches/{batch.id}"
    rate, eta = batch.rate, batch.eta
    return {
        "id": batch.id,
        "name": batch.name,
        "status": batch.status.value,
        "version": batch.version,
        "created": stamp(batch.created),
        "updated": stamp(batch.updated),
        "started": maybe_stamp(batch.started),
        "finished": maybe_stamp(batch.finished),
        "expires": maybe_stamp(batch.expires),
        "counts": {"total": batch.total, **{state.value: batch.count(state) for state in RowState}},
        "rate": None if rate is None else round(rate, 3),
        "eta": None if eta is None else round(eta, 1),
        "error": None if batch.error_code is None else _fault(batch.error_code, batch.error_message),
        "failures": [{"code": code, "count": failures[code]} for code in sorted(failures, key=lambda c: -failures[c])],
        "options": dict(batch.options),
        "model": batch.model,
        "output": None if batch.output is None else dict(batch.output),
        "metadata": None if batch.metadata is None else dict(batch.metadata),
        "links": {"self": here, **{name: f"{here}/{name}" for name in ("rows", "report", "summary")}},
    }


def row_view(row: BatchRow) -> dict[str, Any]:
    """A row as callers see it."""
    return {
        "line": row.line,
        "source": row.source,
        "original": row.original,
        "output": row.output,
        "outcome": row.state.value,
        "error": None if row.error_code is None else _fault(row.error_code, row.error_message),
        "duplicate_of": row.duplicate_of,
        "confidence": row.confidence,
        "seconds": row.seconds,
        "job": row.job,
        "metadata": None if row.metadata is None else dict(row.metadata),
    }


def _fault(code: str, message: str | None) -> dict[str, str]:
    return {"code": code, "message": message or ""}
