"""What a key, a file name and a life time may be, in every store."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from shared.object_store.errors import StoreError

MAX_KEY_BYTES = 1024  # bytes of UTF-8: the limit of S3
MAX_FILENAME_CHARS = 200
MAX_LIFE = timedelta(days=7)  # the limit of SigV4
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)*", re.ASCII)


def check_key(key: str) -> str:
    """The key itself, if every store can hold it.

    Raises:
        StoreError: `bad_key`.
    """
    parts = key.split("/")
    if _CONTROL.search(key) or "\\" in key or any(part in ("", ".", "..") for part in parts):
        raise StoreError(
            "bad_key",
            f"the object key {key[:80]!r} is not usable: write names joined by single slashes, without '.' or '..', "
            "backslashes, control characters or a slash at either end",
        )
    if len(key.encode()) > MAX_KEY_BYTES:
        raise StoreError("bad_key", f"the object key {key[:80]!r}... is longer than {MAX_KEY_BYTES} bytes: shorten it")
    return key


def check_content_type(content_type: str) -> str:
    """The content type itself, if it may stand in a header.

    Raises:
        StoreError: `bad_content_type`.
    """
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise StoreError(
            "bad_content_type", f"{content_type[:80]!r} is not a content type: write one such as image/jpeg"
        )
    return content_type


def expiry(life: timedelta) -> datetime:
    """When a link of this life time ends, to the second.

    Raises:
        StoreError: `bad_expiry`.
    """
    if not timedelta(seconds=1) <= life <= MAX_LIFE:
        raise StoreError("bad_expiry", f"a signed link may live from 1 second to {MAX_LIFE.days} days, not {life}")
    return datetime.now(UTC).replace(microsecond=0) + life


def attachment(filename: str) -> str:
    """A Content-Disposition header that saves a download under this name.

    Both forms of RFC 6266, section 4.3: readers without `filename*` get the name with what is not ASCII replaced.
    """
    name = re.sub(r'[/\\"%]', "_", _CONTROL.sub("_", filename))[:MAX_FILENAME_CHARS] or "download"
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
