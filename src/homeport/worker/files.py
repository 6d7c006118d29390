"""`wsgi.file_wrapper`: a file as an iterable of large blocks."""

from typing import Any, Iterator

_BLOCK = 256 << 10


class FileWrapper:
    """Iterates over a file in blocks of at least 256 KiB, and closes it when the response is over.

    A size smaller than that is raised: it is a hint, and each block costs a system call.
    """

    def __init__(self, filelike: Any, block_size: int = _BLOCK) -> None:
        self.filelike = filelike
        self.block_size = max(block_size, _BLOCK)
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = self.filelike.read(self.block_size)
        if not block:
            raise StopIteration
        return bytes(block)
