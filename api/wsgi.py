"""What gunicorn loads: `api.wsgi:app`."""

from api.app import create_app
from shared.settings import load_service_settings

app = create_app(load_service_settings())
