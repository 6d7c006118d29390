"""One shell on a pseudo-terminal: started, fed, resized, and ended with everything it started."""

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from homeport.model.errors import Unavailable

_READ_BYTES = 64 * 1024
_GRACE_SECONDS = 2.0
_LARGEST_SIDE = 1000
_BOOT = (
    "import runpy, sys; sys.path[:] = {path!r}; sys.argv = ['homeport.scm.terminal.prompt']; "
    "runpy.run_module('homeport.scm.terminal.prompt', run_name='__main__', alter_sys=True)"
)


class TerminalSession:
    """A process on a terminal of its own; `read` gives what it prints until it ends."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: str,
        echo: bool,
        columns: int,
        rows: int,
    ) -> None:
        """Start `command`; `echo` has the terminal itself show what is typed, until the command changes that.

        Raises `Unavailable` when the system gives no terminal or no process.
        """
        try:
            self._master, slave = os.openpty()
        except OSError as error:
            raise Unavailable(f"No terminal can be opened: {error.strerror}.") from error
        try:
            self.resize(columns, rows)
            set_echo(slave, on=echo)
            # setsid makes the terminal the controlling one, so that Ctrl+C and the end of the line reach the shell.
            self._process = subprocess.Popen(
                ["setsid", "--ctty", *command],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=directory,
                env=dict(environment),
            )
        except OSError as error:
            os.close(self._master)
            raise Unavailable(f"The shell cannot be started: {error}.") from error
        finally:
            os.close(slave)
        os.set_blocking(self._master, False)

    @property
    def pid(self) -> int:
        """The shell's process id."""
        return self._process.pid

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, in characters."""
        size = (max(1, min(rows, _LARGEST_SIDE)), max(1, min(columns, _LARGEST_SIDE)))
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    async def read(self) -> bytes:
        """Wait for output; nothing once the shell and all who hold the terminal are gone."""
        while True:
            try:
                return os.read(self._master, _READ_BYTES)
            except BlockingIOError:
                await self._ready(writing=False)
            except OSError as error:
                if error.errno == errno.EIO:  # the last one on the other side closed it
                    return b""
                raise

    async def write(self, data: bytes) -> None:
        """Type `data`; waits while the shell does not read."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._master, view) :]
            except BlockingIOError:
                await self._ready(writing=True)
            except OSError:
                return  # it ended; `read` tells

    async def close(self) -> int:
        """Hang up, end whatever is left after a moment, and return the shell's exit code."""
        descendants = await asyncio.to_thread(_descendants, self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGHUP)
        try:
            code = await asyncio.to_thread(self._process.wait, _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            descendants += await asyncio.to_thread(_descendants, self.pid)
            self._process.kill()
            code = await asyncio.to_thread(self._process.wait)
        for process in descendants:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
        return code

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        add, remove = (
            (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        )
        add(self._master, _settle, ready)
        try:
            await ready
        finally:
            remove(self._master)


def cmd_command() -> tuple[str, ...]:
    """Return the launch line of the CMD prompt: our own code, isolated from the site's environment and folder."""
    path = [entry for entry in sys.path if entry]
    return (sys.executable, "-I", "-B", "-c", _BOOT.format(path=path))


def bash_command() -> tuple[str, ...]:
    """Return the launch line of an interactive POSIX shell."""
    shell = next((path for path in ("/bin/bash", "/usr/bin/bash") if Path(path).exists()), None)
    if shell is None:
        return ("/bin/sh", "-i")
    return (shell, "--rcfile", str(Path(__file__).with_name("bashrc")), "-i")


def set_echo(descriptor: int, *, on: bool) -> None:
    """Switch whether a terminal shows what is typed."""
    attributes = termios.tcgetattr(descriptor)
    attributes[3] = attributes[3] | termios.ECHO if on else attributes[3] & ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
