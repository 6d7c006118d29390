"""Cuts what a program writes into the lines of a deployment's log."""

from collections.abc import Callable

_LONGEST_LINE = 8192
Say = Callable[[str], None]


class OutputLines:
    """One stream of a program; `say` gets each line once it is whole, or too long to be waited for."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; none mean the end of the stream."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if not data or len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, *([self._rest] if self._rest else [])], b""
        for line in lines:
            self._say(line.decode("utf-8", "replace").rstrip("\r"))
