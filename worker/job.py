"""One job from claim to commit: fetch, the pipeline, store. Every fault ends in a state of the job's row."""

import io
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from shared.database import DatabaseUnavailableError, job_store, watch
from shared.database.counting import count
from shared.errors import RestoreError
from shared.jobs import Job, Stage, mask_key_of
from shared.object_store import ObjectNotFound, ObjectStore, StoreError, StoreUnavailable
from shared.options import Options
from shared.registry import ModelError
from worker import pipeline
from worker.context import Context, is_dead
from worker.lease import Lease, LeaseLostError

RESULT_LIMIT: Final = 128 << 20  # bytes: an input of at most 64 MiB plus its map
BACKOFF: Final = 2.0  # seconds before the second try, doubled for each further one
BACKOFF_MAX: Final = 60.0  # seconds
log = structlog.get_logger()


def run_job(job_id: str, context: Context) -> None:
    """Do a job that a message names, unless it is done, somebody else's, or gone."""
    job = _claim(job_id, context)
    if job is None:
        return
    with structlog.contextvars.bound_contextvars(job=job.id, attempt=job.attempt):
        if job.attempt > context.settings.max_attempts:
            _give_up(job, context)
            return
        log.info("job_claimed", queue=job.queue.value)
        try:
            with Lease(context, job) as lease:
                _work(job, context, lease)
        except LeaseLostError:
            log.warning("lease_lost")
        except RestoreError as error:
            _failed(job, context, error.code, str(error), retryable=error.retryable)
        except ObjectNotFound as error:
            _failed(job, context, "source_gone", f"the photo is no longer stored ({error}); submit it again")
        except StoreError as error:
            _failed(job, context, error.code, str(error), retryable=error.retryable)
        except ModelError as error:
            # The worker's fault, not the photo's: another worker, or this one once mended, may do it.
            _failed(job, context, error.code, str(error), retryable=True)
        except SoftTimeLimitExceeded:
            _failed(job, context, "timed_out", "the photo took longer than a job may", retryable=True)
        except DatabaseUnavailableError as error:
            log.warning("database_unavailable", reason=str(error))  # the lease runs out and the reconciler mends it
        except Exception as error:
            log.exception("job_crashed")
            _failed(job, context, "internal", f"unexpected fault ({type(error).__name__})", retryable=True)


def _claim(job_id: str, context: Context) -> Job | None:
    now = time.time()
    with context.database.begin() as connection:
        job = job_store.claim(connection, job_id, context.holder, context.settings.lease_seconds, now)
        if job is None:
            found = job_store.get(connection, job_id)
            # Redelivered because its process died: no need to wait until the lease has run out.
            if found is None or found.holder is None or not is_dead(found.holder):
                return None
            job_store.take_over(connection, job_id, found.holder, now)
            job = job_store.claim(connection, job_id, context.holder, context.settings.lease_seconds, now)
        watch.saw_worker(connection, context.holder, context.queues, now)
    return job


def _work(job: Job, context: Context, lease: Lease) -> None:
    with context.database.read() as connection:
        twin = job_store.find_result(connection, job.result_key, job.tenant)
    if twin is not None and twin.result is not None:
        # Its object may go in this moment: then there is work to do after all.
        with suppress(ObjectNotFound):
            _commit(job, context, dict(twin.result), dict(twin.timings), deduplicated=True)
            return
    timings: dict[str, float] = {}
    cpu = time.process_time()
    with _timed(timings, Stage.FETCH):
        source = context.store.get(job.source_key)
        original = None if job.original_key is None else context.store.get(job.original_key)
    result = pipeline.restore(
        source,
        context.predictor(job.model),
        options_of(job),
        lambda stage: lease.report(Stage(stage.value)),
        original,
    )
    timings |= result.timings
    with _timed(timings, Stage.STORE):
        lease.report(Stage.STORE)
        if result.mask is not None:
            context.store.put(mask_key_of(job.result_key), io.BytesIO(result.mask), "image/png", RESULT_LIMIT)
        context.store.put(job.result_key, io.BytesIO(result.data), "image/jpeg", RESULT_LIMIT)
    timings["cpu"] = round(time.process_time() - cpu, 4)
    try:
        _commit(job, context, summary(result), timings)
    except ObjectNotFound as error:
        raise StoreUnavailable("the result was removed in the moment in which it was stored") from error


def _commit(
    job: Job, context: Context, result: dict[str, Any], timings: dict[str, float], *, deduplicated: bool = False
) -> None:
    # Under the object's lock: nobody may delete it between this look and our commit.
    with context.database.begin(lock=job.result_key) as connection:
        context.store.head(job.result_key)
        result |= {"mask": bool(result.get("mask")) and _has(context.store, mask_key_of(job.result_key))}
        done = job_store.succeed(connection, job, result, timings, time.time(), deduplicated=deduplicated)
        if done and not deduplicated:
            count(connection, "core_seconds", job.model, timings["cpu"])
            count(connection, "megapixels", job.model, result["megapixels"])
    log.info("job_succeeded" if done else "finished_too_late", outcome=result["outcome"], **timings)


def _has(store: ObjectStore, key: str) -> bool:
    try:
        store.head(key)
    except ObjectNotFound:
        return False
    return True


def options_of(job: Job) -> Options:
    """The pipeline's options out of what was submitted."""
    known = Options.__dataclass_fields__
    return Options(**{name: value for name, value in job.options.items() if name in known and value is not None})


def summary(result: pipeline.Result) -> dict[str, Any]:
    """What is said of a result beside its bytes."""
    return {
        "outcome": result.outcome.value,
        "size": len(result.data),
        "megapixels": result.megapixels,
        "metadata": result.metadata.to_json() if result.metadata else None,
        "audit": [
            {"code": finding.code, "severity": finding.severity.value, "message": finding.message}
            for finding in result.findings
        ],
        "notes": list(result.notes),
        "guided": None if result.guided is None else result.guided.to_json(),
        "mask": result.mask is not None,
    }


def _failed(job: Job, context: Context, code: str, message: str, *, retryable: bool = False) -> None:
    """Write the fault into the job's row: for good, or for another try, or as a dead letter."""
    now = time.time()
    with context.database.begin() as connection:
        if not retryable:
            job_store.fail(connection, job, code, message, now)
            log.info("job_failed", code=code, reason=message)
        elif job.attempt >= context.settings.max_attempts:
            job_store.bury(connection, job, code, f"{message}; given up after {job.attempt} attempts", now)
            log.error("job_dead", code=code, reason=message)
        else:
            delay = min(BACKOFF_MAX, BACKOFF * 2 ** (job.attempt - 1)) * random.uniform(0.5, 1.5)  # noqa: S311
            job_store.put_back(connection, job, code, message, now=now, delay=delay)
            log.warning("job_put_back", code=code, reason=message, delay=round(delay, 1))


def _give_up(job: Job, context: Context) -> None:
    reason = "the worker's process died each time it worked on this photo"
    with context.database.begin() as connection:
        job_store.bury(
            connection,
            job,
            job.error_code or "worker_lost",
            f"{job.error_message or reason}; given up after {job.attempt - 1} attempts",
            time.time(),
        )
    log.error("job_dead", code=job.error_code or "worker_lost")


@contextmanager
def _timed(timings: dict[str, float], stage: Stage) -> Iterator[None]:
    begun = time.perf_counter()
    try:
        yield
    finally:
        timings[stage.value] = round(time.perf_counter() - begun, 4)
