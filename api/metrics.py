"""Prometheus metrics, read from SQL when asked: they are the service's, not one process's."""

import time
from collections.abc import Iterator
from typing import Final

from flask import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api import contract
from api.services import Services, services
from shared.broker import BrokerUnavailableError
from shared.database import batch_store, counting, job_store, watch
from shared.jobs import FINAL, JobStatus, Queue

CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
_JOB_QUEUES: Final = (Queue.INTERACTIVE, Queue.BULK)
# Counter of SQL -> its label and help; others appear with the label `label`.
_COUNTERS: Final = {
    "submitted": ("queue", "Jobs accepted"),
    "finished": ("outcome", "Jobs that ended"),
    "stage_seconds_sum": ("stage", "Seconds of work by stage"),
    "stage_seconds_count": ("stage", "Stages of work done"),
    "core_seconds": ("model", "CPU seconds of finished jobs"),
    "megapixels": ("model", "Megapixels of finished jobs"),
    "queue_wait_seconds_sum": ("queue", "Seconds between submission and the last claim"),
    "queue_wait_seconds_count": ("queue", "Jobs whose wait was measured"),
    "lease_expired": ("queue", "Leases that ran out"),
    "republished": ("queue", "Messages that were sent again"),
    "batch_rows": ("outcome", "Rows of batches that got their outcome"),
    "server_errors": ("status", "Answers of 5xx, probes' not counted"),
    "webhook_tries": ("outcome", "Tries to deliver a webhook"),
}
# Told from zero on: a rate that begins with its first event does not see that one.
_FROM_ZERO: Final[dict[str, tuple[str, ...]]] = {
    "finished": tuple(status.value for status in FINAL),
    "lease_expired": tuple(queue.value for queue in _JOB_QUEUES),
    "republished": tuple(queue.value for queue in _JOB_QUEUES),
    "server_errors": ("500", "503"),
}

metrics_calls = contract.group("metrics", "")


@metrics_calls.get("/metrics", responses={"200": contract.file("Prometheus text", "text/plain")})
def metrics() -> Response:
    """Show the service's metrics; the key needs the scope `metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SqlCollector(services()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE)


class SqlCollector(Collector):
    """Reads everything at one moment."""

    def __init__(self, made: Services) -> None:
        self._made = made

    def collect(self) -> Iterator[Metric]:
        """Every family.

        Raises:
            DatabaseUnavailableError: nothing can be said.
        """
        with self._made.database.read() as connection:
            totals = counting.totals(connection)
            jobs = job_store.counts_by_status(connection)
            batches = batch_store.counts_by_status(connection)
            seen = watch.youngest_sign(connection)
            oldest = job_store.oldest_waiting(connection)
        yield from _counters(totals)
        yield _by_status(jobs)
        yield _batches(batches)
        yield from self._load(jobs)
        yield _age(oldest)
        age = GaugeMetricFamily("regain_worker_heartbeat_age_seconds", "Age of the youngest sign of any worker")
        age.add_metric([], float("inf") if seen is None else max(0.0, time.time() - seen))
        yield age

    def _load(self, jobs: dict[tuple[str, str], int]) -> Iterator[Metric]:
        """What an autoscaler needs: messages that wait, and those plus the work in flight."""
        depth = GaugeMetricFamily("regain_queue_depth", "Messages in the broker", labels=["queue"])
        load = GaugeMetricFamily("regain_queue_load", "Jobs that wait or run", labels=["queue"])
        for queue in _JOB_QUEUES:
            waiting = jobs.get((JobStatus.QUEUED.value, queue.value), 0)
            running = jobs.get((JobStatus.RUNNING.value, queue.value), 0)
            load.add_metric([queue.value], waiting + running)
        for queue in Queue:
            messages = self._depth(queue)
            if messages is not None:
                depth.add_metric([queue.value], messages)
        yield depth
        yield load

    def _depth(self, queue: Queue) -> int | None:
        if self._made.publisher is None:
            return None
        try:
            return self._made.publisher.depth(queue)
        except BrokerUnavailableError:
            return None


def _counters(totals: dict[tuple[str, str], float]) -> Iterator[Metric]:
    for name in sorted({name for name, _ in totals} | set(_COUNTERS)):
        label, text = _COUNTERS.get(name, ("label", name.replace("_", " ")))
        family = CounterMetricFamily(f"regain_{name}", text, labels=[label])
        counted = {value: total for (counter, value), total in totals.items() if counter == name}
        for value, total in sorted((dict.fromkeys(_FROM_ZERO.get(name, ()), 0.0) | counted).items()):
            family.add_metric([value], total)
        yield family


def _age(oldest: dict[str, float]) -> Metric:
    family = GaugeMetricFamily("regain_queue_age_seconds", "Age of the job that waits longest", labels=["queue"])
    for queue in _JOB_QUEUES:
        age = time.time() - oldest[queue.value] if queue.value in oldest else 0.0
        family.add_metric([queue.value], max(0.0, age))
    return family


def _by_status(jobs: dict[tuple[str, str], int]) -> Metric:
    family = GaugeMetricFamily("regain_jobs", "Jobs by status and queue", labels=["status", "queue"])
    for (status, queue), number in sorted(jobs.items()):
        family.add_metric([status, queue], number)
    return family


def _batches(batches: dict[str, int]) -> Metric:
    family = GaugeMetricFamily("regain_batches", "Batches by status", labels=["status"])
    for status, number in sorted(batches.items()):
        family.add_metric([status], number)
    return family
