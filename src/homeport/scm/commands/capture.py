"""A program's output: collected up to a limit, its lines ended as Kudu ends them."""

import re


class Capture:
    """Collects at most `limit_bytes` of one stream and counts what it leaves out."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._data = bytearray()
        self._left_out = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        room = self._limit - len(self._data)
        self._data += data[:room]
        self._left_out += max(0, len(data) - room)

    def text(self) -> str:
        r"""Give the text: UTF-8 with U+FFFD for what is not, every line ended by `\n` (Kudu reference §1.2)."""
        text = self._data.decode("utf-8", "replace")
        lines = re.sub(r"\r\n?", "\n", text)
        if lines and not lines.endswith("\n"):
            lines += "\n"
        if self._left_out:
            lines += (
                f"[{self._left_out} more bytes of output were left out: the limit is {self._limit} bytes]\n"
            )
        return lines
