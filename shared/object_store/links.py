"""Signed links of our own API: what presigned URLs are to S3, for a store that is a folder."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from shared.object_store.errors import StoreError

OBJECTS_PATH = "/v1/objects/"
MIN_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What one link allows. A PUT has a content type and a limit in bytes, a GET may have a file name."""

    method: str
    key: str
    expires: datetime
    filename: str | None = None
    content_type: str | None = None
    limit: int | None = None


class LinkSigner:
    """Makes links, and tells its own from others: HMAC-SHA256 over every term."""

    def __init__(self, base_url: str, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret that signs links needs {MIN_SECRET_BYTES} bytes or more, not {len(secret)}")
        self._base_url = base_url.rstrip("/")
        self._secret = secret

    def _signature(self, terms: LinkTerms) -> str:
        # JSON keeps the terms apart: no value can pose as two, whatever it contains.
        message = json.dumps(asdict(terms) | {"expires": int(terms.expires.timestamp())}, sort_keys=True)
        return hmac.new(self._secret, message.encode(), hashlib.sha256).hexdigest()

    def link(self, terms: LinkTerms) -> str:
        """The URL that carries these terms."""
        optional = {"filename": terms.filename, "content_type": terms.content_type, "limit": terms.limit}
        query = {"expires": str(int(terms.expires.timestamp()))}
        query |= {name: str(value) for name, value in optional.items() if value is not None}
        query["signature"] = self._signature(terms)
        return f"{self._base_url}{OBJECTS_PATH}{quote(terms.key, safe='/')}?{urlencode(query)}"

    def verify(self, method: str, key: str, query: Mapping[str, str], now: datetime) -> LinkTerms:
        """The terms of a link that we made and that still holds; a link to GET also serves HEAD.

        Raises:
            StoreError: `bad_signature` or `expired_link`.
        """
        bad = StoreError("bad_signature", f"the link to {key[:80]!r} is not one of ours: ask for a new one")
        try:
            terms = LinkTerms(
                method="GET" if method == "HEAD" else method,
                key=key,
                expires=datetime.fromtimestamp(int(query["expires"]), UTC),
                filename=query.get("filename"),
                content_type=query.get("content_type"),
                limit=int(query["limit"]) if "limit" in query else None,
            )
            given = query["signature"].encode()
            genuine = hmac.compare_digest(self._signature(terms).encode(), given)
        except (KeyError, ValueError, OverflowError, OSError):
            raise bad from None
        if not genuine:
            raise bad
        if now >= terms.expires:
            raise StoreError("expired_link", f"the link to {key[:80]!r} ended at {terms.expires:%Y-%m-%d %H:%M:%S} UTC")
        return terms
