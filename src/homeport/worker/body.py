"""`wsgi.input` for bodies that did not come with their parameters: read from the connection when asked for."""

from typing import Iterator, List, Union

from homeport.worker.connection import Connection


class BodyStream:
    """A readable stream in constant memory: it holds what one receive brought, at most 128 KiB.

    `read(n)` waits for n bytes or the end, as a file would, and copies them once. Errors are those of
    `Connection.read_body`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pieces: "Iterator[memoryview]" = iter(())
        self._chunk: "Union[bytes, memoryview]" = b""
        self._at = 0

    def read(self, size: "int | None" = -1) -> bytes:
        """Return so many bytes, fewer only at the end; all that is left without a size."""
        wanted = -1 if size is None or size < 0 else size
        parts: "List[Union[bytes, memoryview]]" = []
        while wanted and self._more():
            end = len(self._chunk) if wanted < 0 else min(len(self._chunk), self._at + wanted)
            part = self._chunk[self._at : end]
            if wanted > 0:
                wanted -= len(part)
            parts.append(part)
            self._at = end
        return b"".join(parts)

    def readline(self, size: "int | None" = -1) -> bytes:
        """Return the bytes up to and with the next newline, at most `size` of them."""
        wanted = -1 if size is None or size < 0 else size
        parts: List[bytes] = []
        while wanted and self._more():
            chunk = self._chunk = bytes(self._chunk)  # a copy only where it is a view
            found = chunk.find(b"\n", self._at) + 1
            end = found or len(chunk)
            if wanted >= 0:
                end = min(end, self._at + wanted)
                wanted -= end - self._at
            parts.append(chunk[self._at : end])
            self._at = end
            if found == end:
                break
        return b"".join(parts)

    def readlines(self, hint: "int | None" = -1) -> List[bytes]:
        """Return the lines that are left, or no more than it takes to reach `hint` bytes."""
        lines: List[bytes] = []
        size = 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _more(self) -> bool:
        """See that unread bytes are at hand; False at the end of the body."""
        if self._at < len(self._chunk):
            return True
        self._at = 0
        self._chunk = next(self._pieces, b"")
        if not self._chunk:
            self._pieces = iter(self._connection.read_body())
            self._chunk = next(self._pieces, b"")
        return bool(self._chunk)
