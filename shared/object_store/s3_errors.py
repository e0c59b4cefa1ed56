"""boto3's errors become the store's here, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from urllib3.exceptions import HTTPError

from shared.object_store.errors import ObjectNotFound, ObjectTooLarge, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MISSING = {"NoSuchKey", "NotFound", "404"}
_BUSY = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"}
_DENIED = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turn errors of boto3 into the store's.

    Raises:
        ObjectNotFound: the server has no such key.
        ObjectTooLarge: the server's own limit.
        StoreUnavailable: no answer, or one that says to come back.
        StoreError: `no_bucket`, `store_denied` or `store_refused`: somebody has to change something.
    """
    try:
        yield
    except ClientError as error:
        raise _of_answer(error.response, key) from error
    except (NoCredentialsError, ParamValidationError) as error:
        raise StoreError("store_refused", f"the request for {key!r} cannot be made ({error}): set it right") from error
    except (BotoCoreError, HTTPError) as error:
        raise StoreUnavailable(
            f"the object store did not answer for {key!r} ({error}): check its address, or try again"
        ) from error


def _of_answer(response: Any, key: str) -> StoreError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _MISSING:
        return ObjectNotFound(key)
    if code == "NoSuchBucket":
        return StoreError("no_bucket", f"the bucket for {key!r} does not exist: create it, or correct its name")
    if code == "EntityTooLarge":
        return ObjectTooLarge(int(response["Error"].get("MaxSizeAllowed", 5 * 1024**3)))
    if status >= 500 or status == 429 or code in _BUSY:
        return StoreUnavailable(f"the object store answered {status} {code} for {key!r}: try again later")
    if code in _DENIED:
        return StoreError("store_denied", f"the object store denied {key!r} ({code}): correct its keys or their rights")
    return StoreError("store_refused", f"the object store refused {key!r} ({status} {code}): see its log")


class AnswerReader(RawIOBase):
    """The body of an answer as a raw stream; a broken connection is the store's error, never a short read."""

    def __init__(self, body: Any, key: str) -> None:
        super().__init__()
        self._body = body
        self._key = key

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer as far as the answer goes."""
        with memoryview(buffer) as view, translated(self._key):
            block = self._body.read(len(view))
            view[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Close the connection as well, for what is left of the answer would come next."""
        if not self.closed:
            self._body.close()
        super().close()
