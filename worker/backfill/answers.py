"""What a service's answers mean for a row."""

from dataclasses import replace
from typing import Any

from shared.backfill.rows import Outcome, RowReport, failed
from shared.client import RemoteJob
from shared.errors import ClientError
from shared.jobs import JobStatus
from worker.backfill.pool import Task


def report_of(task: Task, job: RemoteJob, *, unguided: bool) -> RowReport:
    """Of a final job; `unguided`: its original was left out."""
    if job.status is JobStatus.CANCELED:
        message = f"{task.row.source}: its job {job.id} was called off; run the same command again"
        return replace(failed(task.row, "canceled", message, job.id), outcome=Outcome.CANCELED)
    if job.status is not JobStatus.SUCCEEDED:
        why = job.error_message or f"the job ended {job.status}"
        return failed(task.row, job.error_code or job.status.value, f"{task.row.source}: {why}", job.id)
    result: dict[str, Any] = job.answer.get("result") or {}
    guided: dict[str, Any] = result.get("guided") or {}
    spent = [float(seconds) for stage, seconds in (job.answer.get("timings") or {}).items() if stage != "cpu"]
    return said(
        task,
        Outcome(result.get("outcome", Outcome.RESTORED)),
        confidence=0.0 if unguided else guided.get("confidence"),
        seconds=round(sum(spent), 4) if spent else None,
        job=job.id,
    )


def said(
    task: Task,
    outcome: Outcome,
    *,
    confidence: float | None = None,
    seconds: float | None = None,
    job: str | None = None,
) -> RowReport:
    """Of a row that did not fail."""
    row = task.row
    return RowReport(
        line=row.line,
        source=row.source,
        outcome=outcome,
        output=task.said_output if outcome is Outcome.RESTORED else None,
        original=row.original,
        confidence=confidence,
        seconds=seconds,
        metadata=row.metadata,
        job=job,
    )


def refused(task: Task, error: ClientError, job_id: str | None = None) -> RowReport:
    """Of a photo that was not taken, or whose job or result is gone."""
    where = "" if error.code == "file" else f"{task.row.source}: "
    return failed(task.row, error.code, f"{where}{error}", job_id)
