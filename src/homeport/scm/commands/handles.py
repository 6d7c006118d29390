"""The three standard handles of a command, redirections of them, and how built-ins use them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event

from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.filesystem import part_from_links
from homeport.windows.cmd.syntax import Redirection, RedirectionKind

_CHUNK = 64 * 1024
_FLAGS = {
    RedirectionKind.READ: os.O_RDONLY,
    RedirectionKind.WRITE: os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    RedirectionKind.APPEND: os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handles:
    """File descriptors of standard input, output and error; whoever opened them closes them."""

    stdin: int
    stdout: int
    stderr: int

    def number(self, handle: int) -> int:
        """The descriptor of handle 0, 1 or 2; raises `CommandFailure` for another."""
        if handle > 2:
            raise CommandFailure(f"Handle {handle} cannot be redirected here: only 0, 1 and 2 can.")
        return (self.stdin, self.stdout, self.stderr)[handle]

    def with_number(self, handle: int, descriptor: int) -> "Handles":
        """The same handles but for one."""
        self.number(handle)
        match handle:
            case 0:
                return replace(self, stdin=descriptor)
            case 1:
                return replace(self, stdout=descriptor)
            case _:
                return replace(self, stderr=descriptor)


@contextmanager
def redirected(
    handles: Handles, redirections: Iterable[Redirection], *, console: Console
) -> Iterator[Handles]:
    """Apply redirections from left to right; files are closed at the end. `nul` is /dev/null."""
    opened: list[int] = []
    try:
        for redirection in redirections:
            if redirection.kind is RedirectionKind.DUPLICATE:
                descriptor = handles.number(int(redirection.target))
            else:
                descriptor = _open(redirection, console)
                opened.append(descriptor)
            handles = handles.with_number(redirection.handle, descriptor)
        yield handles
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open(redirection: Redirection, console: Console) -> int:
    if redirection.target.lower().rstrip(":") == "nul":
        return os.open(os.devnull, os.O_RDWR)
    path = console.locate(redirection.target)
    try:
        if redirection.kind is RedirectionKind.WRITE:
            part_from_links(path)
        return os.open(path, _FLAGS[redirection.kind], 0o666)
    except FileNotFoundError:
        reading = redirection.kind is RedirectionKind.READ
        raise CommandFailure(
            f"The system cannot find the {'file' if reading else 'path'} specified."
        ) from None
    except OSError as exc:
        raise CommandFailure(f"Access is denied. ({exc.strerror})") from exc


class Pulse:
    """Links the built-ins of one command to its supervisor: they beat while they work, and end when stopped."""

    def __init__(self) -> None:
        self._stopped = Event()
        self.beats = 0

    def stop(self) -> None:
        """Let every built-in end at its next beat; no other command starts."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Tell whether the command is to end."""
        return self._stopped.is_set()

    def beat(self) -> None:
        """Say that there is progress; raises `BrokenPipeError` once stopped."""
        self.beats += 1
        if self._stopped.is_set():
            raise BrokenPipeError("the command was stopped")


class Streams:
    """Standard handles for a built-in, which runs in a thread and owns copies of them.

    A reader that went away or a command that was stopped raises `BrokenPipeError`.
    """

    def __init__(self, handles: Handles, pulse: Pulse) -> None:
        self._pulse = pulse
        self._descriptors = [os.dup(handles.number(handle)) for handle in (0, 1, 2)]

    def write(self, text: str) -> None:
        """Write text to standard output."""
        self.write_bytes(text.encode("utf-8", "surrogateescape"))

    def line(self, text: str = "") -> None:
        """Write one line to standard output."""
        self.write(text + "\n")

    def error(self, text: str) -> None:
        """Write one line to standard error."""
        self._write(2, (text + "\n").encode("utf-8", "surrogateescape"))

    def write_bytes(self, data: bytes) -> None:
        """Write bytes to standard output as they are."""
        self._write(1, data)

    def is_terminal(self) -> bool:
        """Tell whether standard output is a terminal."""
        return os.isatty(self._descriptors[1])

    def chunks(self) -> Iterator[bytes]:
        """Read standard input to its end."""
        while chunk := os.read(self._descriptors[0], _CHUNK):
            self.check()
            yield chunk

    def check(self) -> None:
        """Beat between two steps of a long work."""
        self._pulse.beat()

    def close(self) -> None:
        """Close the copies."""
        for descriptor in self._descriptors:
            os.close(descriptor)

    def _write(self, handle: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self.check()
            view = view[os.write(self._descriptors[handle], view) :]
