"""Secrets of webhooks and signatures by them, as Standard Webhooks wants them."""

import base64
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

PREFIX: Final = "whsec_"  # Standard Webhooks, "Signature scheme"
BYTES: Final = 32  # of a secret that we make
# Standard Webhooks: the base64 of 24 to 64 random bytes.
WHSEC_FORM: Final = r"^whsec_([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?$"


def new_secret() -> str:
    """A fresh secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def tenant_secret(service_secret: bytes, tenant: str) -> str:
    """What signs the webhooks of a tenant's jobs that bring no secret of their own; made of the service's, not kept."""
    return PREFIX + base64.b64encode(hmac.digest(service_secret, b"webhooks of " + tenant.encode(), "sha256")).decode()


def signed_headers(event_id: str, body: bytes, keys: Sequence[str], now: float) -> dict[str, str]:
    """The headers of one try; one signature a secret, for receivers that know the old or the new one."""
    moment = datetime.fromtimestamp(int(now), UTC)
    text = body.decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(Webhook(key).sign(event_id, moment, text) for key in keys),
    }
