"""Reading streams in blocks, never further than a limit."""

import hashlib
from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, BinaryIO, cast

from shared.object_store.errors import ObjectTooLarge

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK_BYTES = 256 * 1024  # read and written at once


class _Pieces(RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with memoryview(buffer) as view:
            self._rest = self._rest or next(self._pieces, b"")
            block, self._rest = self._rest[: len(view)], self._rest[len(view) :]
            view[: len(block)] = block
        return len(block)


def joined(pieces: Iterator[bytes]) -> BinaryIO:
    """A stream of pieces, none of them empty, that are made as it is read."""
    return cast(BinaryIO, BufferedReader(_Pieces(pieces), BLOCK_BYTES))


class BoundedReader:
    """What boto3 reads from: a stream that raises once it has given more than its limit.

    It offers no `seek` on purpose: boto3 then reads it once, in order, one part in memory.
    """

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.count = 0  # bytes read so far

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; all that is left if it is negative.

        Raises:
            ObjectTooLarge: the stream went past the limit.
        """
        room = self._limit - self.count + 1  # one more than allowed, to see that there is more
        block = self._stream.read(room if size < 0 else min(size, room))
        self.count += len(block)
        if self.count > self._limit:
            raise ObjectTooLarge(self._limit)
        return block


def blocks(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """The stream, block by block.

    Raises:
        ObjectTooLarge: the stream holds more than `limit` bytes.
    """
    reader = BoundedReader(stream, limit)
    while block := reader.read(BLOCK_BYTES):
        yield block


def hashed(stream: BinaryIO, limit: int) -> str:
    """SHA-256 in hex of what a seekable stream still holds; the stream is left where it was.

    Raises:
        ObjectTooLarge: the stream holds more than `limit` bytes.
    """
    start = stream.tell()
    digest = hashlib.sha256()
    try:
        for block in blocks(stream, limit):
            digest.update(block)
    finally:
        stream.seek(start)
    return digest.hexdigest()
