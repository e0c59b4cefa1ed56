"""Secrets of webhooks and signatures by them, as Standard Webhooks wants them."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

PREFIX: Final = "whsec_"  # Standard Webhooks, "Signature scheme"
BYTES: Final = 32  # of a secret that we make
BYTES_MIN, BYTES_MAX = 24, 64  # Standard Webhooks: of any secret


class SecretError(ValueError):
    """A text is not a webhook secret; it says what one is."""


def new_secret() -> str:
    """A fresh secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def tenant_secret(service_secret: bytes, tenant: str) -> str:
    """What signs the webhooks of a tenant's jobs that bring no secret of their own; made of the service's, not kept."""
    return PREFIX + base64.b64encode(hmac.digest(service_secret, b"webhooks of " + tenant.encode(), "sha256")).decode()


def check_secret(text: str) -> str:
    """The secret, if it is one.

    Raises:
        SecretError: it has another form, or is too short or too long.
    """
    wanted = f"a webhook secret is {PREFIX} and the base64 of {BYTES_MIN} to {BYTES_MAX} random bytes"
    if not text.startswith(PREFIX):
        raise SecretError(f"{wanted}: begin it with {PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretError(f"{wanted}: what follows {PREFIX} is not base64") from error
    if not BYTES_MIN <= len(key) <= BYTES_MAX:
        raise SecretError(f"{wanted}: this one has {len(key)}")
    return text


def hint(secret: str) -> str:
    """Enough to tell secrets apart, nothing to sign with."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


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
