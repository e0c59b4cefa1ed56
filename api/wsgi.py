"""What gunicorn loads: `api.wsgi:app`."""

from api.app import create_app
from shared.logs import set_up_logs
from shared.settings import load_service_settings

set_up_logs("api")
app = create_app(load_service_settings())
