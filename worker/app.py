"""Celery's entry: `celery -A worker.app worker …`, or `regain worker`."""

from worker.tasks import app

__all__ = ["app"]
