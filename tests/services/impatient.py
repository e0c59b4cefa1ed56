"""The API for gunicorn, as `api.wsgi`, but with little patience for bodies."""

from api import bodies

bodies.SILENCE, bodies.WHOLE = 1.0, 2.0  # type: ignore[misc]

from api.wsgi import app  # noqa: E402

__all__ = ["app"]
