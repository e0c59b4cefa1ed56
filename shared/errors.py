"""The errors that leave a layer: the pipeline's, and the client's of the service."""


class RestoreError(Exception):
    """A photo could not be restored.

    `code` is stable and snake_case; `retryable` says whether the same input may succeed later; the text names
    what is wrong, where, and what to do.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class ClientError(Exception):
    """The service refused, or did not answer.

    `code` is stable: the service's own, or `unreachable`, `bad_answer`, `bad_url`, `no_key`, `timeout`, `file`;
    `status` is the HTTP status, 0 where there was no answer; `retry_after` the seconds that the service asked for.
    """

    def __init__(self, code: str, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after = retry_after
