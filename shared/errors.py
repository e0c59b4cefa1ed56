"""The one error that leaves the pipeline."""


class RestoreError(Exception):
    """A photo could not be restored.

    `code` is stable and snake_case; `retryable` says whether the same input may succeed later; the text names
    what is wrong, where, and what to do.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
