"""The Celery application, made from settings: messages alone, nothing that SQL does not know."""

import time
from typing import Final

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from shared.jobs import Queue
from shared.settings import ServiceSettings
from shared.tracing import message_headers

TASK: Final = "regain.restore"  # sent by name: the API never imports the worker
DELIVER: Final = "regain.deliver"
PREFIX: Final = "hdr:"  # of every key in the broker
COOL_DOWN: Final = 2.0  # seconds without a try after the broker did not answer: requests must not wait for it
SOFT_SHARE: Final = 5 / 6  # of the time limit: then the job is told, and has time to say so
_CONNECT: Final = 5  # seconds


class BrokerUnavailableError(Exception):
    """The broker does not answer; what waits in the outbox is published once it does."""


def make_celery(settings: ServiceSettings) -> Celery:
    """The application for workers and publishers alike.

    Raises:
        BrokerUnavailableError: no broker is named.
    """
    if settings.redis_url is None:
        raise BrokerUnavailableError("no broker: set REDIS_URL, or start everything with `regain up`")
    app = Celery("regain", broker=settings.redis_url)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # Longer than any task may take, or a job would be handed out twice while it runs.
            "visibility_timeout": 3 * settings.task_time_limit,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": _CONNECT,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "global_keyprefix": PREFIX,
        },
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_timeout=True,
        task_time_limit=settings.task_time_limit,
        task_soft_time_limit=settings.task_time_limit * SOFT_SHARE,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=Queue.CONTROL.value,
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=500,
        worker_max_memory_per_child=settings.max_memory_mb * 1024,
        # Jobs are fenced in SQL: to finish one is cheaper than to kill it.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        task_send_sent_event=False,
        # A request must never hang on a broker that is away.
        task_publish_retry=False,
    )
    return app


class Publisher:
    """Sends job ids to their queue; after a failure it leaves the broker alone for a moment."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._app = make_celery(settings)
        # Else a publisher would wait 6 s for a broker that refuses it, and the request with it.
        self._app.conf.broker_transport_options |= {"max_retries": 1, "interval_start": 0, "interval_step": 0}
        self._redis = redis.Redis.from_url(
            settings.redis_url or "", socket_timeout=_CONNECT, socket_connect_timeout=_CONNECT
        )
        self._not_before = 0.0

    def publish(self, job_id: str, queue: Queue) -> None:
        """Send one job's message.

        Raises:
            BrokerUnavailableError: the broker did not take it.
        """
        self._send(TASK, job_id, queue)

    def publish_delivery(self, delivery_id: str) -> None:
        """Send the message that a webhook is due.

        Raises:
            BrokerUnavailableError: the broker did not take it.
        """
        self._send(DELIVER, delivery_id, Queue.WEBHOOKS)

    def ping(self, queue: Queue, seconds: float) -> None:
        """Ask whoever serves a queue for a sign of life; the question is void after `seconds`.

        Raises:
            BrokerUnavailableError: the broker did not take it.
        """
        self._send("regain.ping", queue.value, queue, expires=seconds)

    def depth(self, queue: Queue) -> int:
        """Messages that wait in a queue; what workers hold is not counted.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        try:
            return int(self._redis.llen(f"{PREFIX}{queue.value}"))
        except redis.RedisError as error:
            raise BrokerUnavailableError(f"the broker does not answer ({error})") from error

    def check(self) -> None:
        """Raise BrokerUnavailableError unless the broker answers."""
        self.depth(Queue.CONTROL)

    def _send(self, task: str, argument: str, queue: Queue, expires: float | None = None) -> None:
        if time.monotonic() < self._not_before:
            raise BrokerUnavailableError("the broker did not answer a moment ago")
        try:
            task_id = argument if task == TASK else None
            self._app.send_task(
                task,
                args=[argument],
                queue=queue.value,
                task_id=task_id,
                expires=expires,
                headers=message_headers(),
            )
        except (OperationalError, redis.RedisError, OSError) as error:
            self._not_before = time.monotonic() + COOL_DOWN
            raise BrokerUnavailableError(f"the broker does not answer ({error})") from error
