"""What an object store raises, whichever store it is."""


class StoreError(Exception):
    """An object store refused or failed.

    `code` is stable and snake_case; `retryable` says whether the same call may succeed later; the text names what
    is wrong, where, and what to do.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class ObjectNotFound(StoreError):  # noqa: N818 - it reads as what happened, and callers catch it as an answer
    """No object has this key."""

    def __init__(self, key: str) -> None:
        super().__init__("object_not_found", f"no object {key!r} in the store: it was deleted or never stored")


class ObjectTooLarge(StoreError):  # noqa: N818
    """A stream held more bytes than its limit; nothing of it is kept."""

    def __init__(self, limit: int) -> None:
        super().__init__("object_too_large", f"the data is longer than {limit} bytes: send less, or raise the limit")


class StoreUnavailable(StoreError):  # noqa: N818
    """The store cannot be reached, is overloaded or is out of room; the same call may succeed later."""

    def __init__(self, message: str) -> None:
        super().__init__("store_unavailable", message, retryable=True)
