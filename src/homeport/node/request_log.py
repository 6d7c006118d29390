"""Reading what nginx writes down of requests: in pieces, from where we left off, with a bound on the file."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)
_EVERY_SECONDS = 1.0
_PIECE = 256 * 1024
_FULL_BYTES = 16 * 1024 * 1024
_LONGEST_LINE = 256 * 1024


class RequestLog:
    """The file of requests of all sites.

    `handle` takes whole lines as they come; `reopen` makes nginx open the file anew, by its name. When the file is
    full it is renamed, nginx goes on in a new one, and the old one is removed once nginx wrote its last line to it.
    """

    def __init__(
        self, path: Path, *, handle: Callable[[Sequence[bytes]], None], reopen: Callable[[], None]
    ) -> None:
        self._path = path
        self._old = path.with_name(f"{path.name}.old")
        self._place = path.with_name(f"{path.name}.place")
        self._handle = handle
        self._reopen = reopen
        self._at = self._remembered()

    async def run(self) -> None:
        """Read once a second, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self.read()
            except OSError as error:
                _log.error("request-log.not-read", reason=str(error))

    async def read(self) -> None:
        """Take every line that is there; begin a new file when this one is full."""
        if self._old.exists():
            await self._finish_old()
        size = await self._read_on(self._path)
        self._place.write_text(str(self._at))
        if size >= _FULL_BYTES:
            self._path.rename(self._old)
            self._reopen()

    async def _finish_old(self) -> None:
        """Read what nginx still wrote to the renamed file; a second has gone by since it was asked to leave it."""
        if not self._path.exists():
            self._reopen()
            return
        await self._read_on(self._old)
        self._old.unlink()
        self._at = 0

    async def _read_on(self, path: Path) -> int:
        """Read from where we are to the last whole line; return the file's size."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return 0
        with file:
            size = os.fstat(file.fileno()).st_size
            if size < self._at:
                self._at = 0
            while True:
                file.seek(self._at)
                data = file.read(_PIECE)
                end = data.rfind(b"\n") + 1
                if end == 0:
                    if len(data) >= _LONGEST_LINE:
                        self._at += len(data)
                        continue
                    return size
                self._at += end
                self._handle(data[: end - 1].split(b"\n"))
                await asyncio.sleep(0)

    def _remembered(self) -> int:
        try:
            return int(self._place.read_text())
        except (OSError, ValueError):
            return 0
