"""What a site's processes print, kept in its LogFiles: bounded in size and in rate.

The agent reads a pipe and writes a file below the site's home through `TenantTree`, so a link planted there leads
nowhere. A site that floods its output loses lines (and is told how many), never its neighbours' time.
"""

import asyncio
import contextlib
import os
import time

from homeport.model.errors import HomeportError
from homeport.node.tenant_files import TenantTree

_FILE_BYTES = 10 * 1024 * 1024
_BYTES_PER_SECOND = 2 * 1024 * 1024
_BURST_BYTES = 8 * 1024 * 1024
_CHUNK = 65536
_LAST_BYTES = 2000


class LogFile:
    """Appends to one log below a site's home; at 10 MiB the file becomes `.1` and a new one begins."""

    def __init__(self, tree: TenantTree, path: str, *, owner: int | None) -> None:
        self._tree = tree
        self._path = path
        self._owner = owner

    def append(self, data: bytes) -> None:
        """Write; a log that cannot be written (disk full, a link in its place) is given up silently."""
        with contextlib.suppress(HomeportError, OSError):
            self._tree.make_folder(self._path.rpartition("/")[0], owner=self._owner)
            descriptor = self._tree.open_append(self._path, owner=self._owner)
            try:
                os.write(descriptor, data)
                full = os.fstat(descriptor).st_size >= _FILE_BYTES
            finally:
                os.close(descriptor)
            if full:
                self._tree.rename(self._path, self._path + ".1")


class OutputPipe:
    """The pipe behind stdout and stderr of a pool's processes, read by the agent into a `LogFile`."""

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._allowance = float(_BURST_BYTES)
        self._refilled = time.monotonic()
        self._dropped = 0
        self._last = b""
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        asyncio.get_running_loop().add_reader(self._read_end, self._read)

    @property
    def last(self) -> str:
        """The end of what was printed, some lines at most."""
        return self._last.decode(errors="replace").strip()

    def write_to(self, log: LogFile) -> None:
        """Go on in another log."""
        self._log = log

    def say(self, line: str) -> None:
        """Write a line of the platform's own among the site's."""
        self._log.append(f"[homeport] {line}\n".encode())

    def close(self) -> None:
        """Take what is still in the pipe and close it."""
        asyncio.get_running_loop().remove_reader(self._read_end)
        while self._read():
            pass
        os.close(self._read_end)
        os.close(self.write_end)

    def _read(self) -> bool:
        """Take one chunk; False when there was none."""
        try:
            data = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return False
        now = time.monotonic()
        self._allowance = min(_BURST_BYTES, self._allowance + (now - self._refilled) * _BYTES_PER_SECOND)
        self._refilled = now
        if len(data) > self._allowance:
            self._dropped += len(data)
            return True
        self._allowance -= len(data)
        self._last = (self._last + data)[-_LAST_BYTES:]
        if self._dropped:
            self.say(f"output was too fast to keep: {self._dropped} bytes were dropped.")
            self._dropped = 0
        self._log.append(data)
        return True
