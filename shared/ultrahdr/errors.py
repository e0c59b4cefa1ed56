"""The codec's one error."""


class UltraHdrError(ValueError):
    """A file or a value is not what the standards ask for.

    `code` is stable and snake_case; `offset` is the byte of the file at which it shows, where there is one;
    the text names what, where and what to do.
    """

    def __init__(self, code: str, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.offset = offset
