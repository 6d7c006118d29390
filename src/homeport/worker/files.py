"""`wsgi.file_wrapper`: a file as an iterable of large blocks."""

from typing import Any, Iterator

from homeport.worker.fastcgi import MAX_CONTENT


class FileWrapper:
    """Iterates over a file in blocks that fill a record, or larger ones, and closes it when the response is over.

    A smaller size is raised: it is a hint, and each block costs a system call.
    """

    def __init__(self, filelike: Any, block_size: int = MAX_CONTENT) -> None:
        self.filelike = filelike
        self.block_size = max(block_size, MAX_CONTENT)
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = self.filelike.read(self.block_size)
        if not block:
            raise StopIteration
        return bytes(block)
