"""What gunicorn loads: `api.wsgi:app`."""

from api.app import create_app
from shared.logs import set_up_logs
from shared.settings import load_service_settings
from shared.tracing import trace_requests

set_up_logs("api")
_settings = load_service_settings()
app = create_app(_settings)
trace_requests(app, _settings)
