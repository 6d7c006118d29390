"""`/api/logstream`: what is appended to the site's log files, as it is appended (Kudu reference §9.1)."""

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from homeport.model.errors import Forbidden
from homeport.scm.http.answers import message
from homeport.scm.http.query import query_text
from homeport.scm.settings.stack import SettingsProviders

_EXTENSIONS = frozenset({".txt", ".log", ".htm"})
_LOOK_SECONDS = 0.25
_HEARTBEAT_SECONDS = 60.0
_READ_BYTES = 256 * 1024
_LONGEST_LINE = 64 * 1024


class LogStreamEndpoint:
    """Streams the files below `LogFiles`; `stopping` ends every stream."""

    def __init__(self, home: Path, *, providers: SettingsProviders, stopping: asyncio.Event) -> None:
        self._root = home / "LogFiles"
        self._providers = providers
        self._stopping = stopping

    async def stream(self, request: Request) -> Response:
        """GET: endless text; any other verb is 400."""
        if request.method != "GET":
            return message(400, "The log stream is read with GET.")
        folder = self._folder(request.path_params["path"])
        seconds = self._providers.current().number("SCM_LOGSTREAM_TIMEOUT", default=7200)
        lines = self._lines(folder, wanted=(query_text(request, "filter") or "").casefold(), seconds=seconds)
        headers = {
            "content-type": "text/plain",
            "x-accel-buffering": "no",
            "x-content-type-options": "nosniff",
        }
        return StreamingResponse(lines, headers=headers)

    def _folder(self, path: str) -> Path:
        parts = [part for part in path.split("/") if part not in {"", "."}]
        folder = self._root.joinpath(*parts)
        inside = ".." not in parts and "\0" not in path
        if not inside or not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(self._root)):
            raise Forbidden("The path leads out of the site's LogFiles folder.")
        if not folder.exists():
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def _lines(self, folder: Path, *, wanted: str, seconds: int) -> AsyncIterator[bytes]:
        tail = Tail(folder)
        tail.look(from_end=True)
        yield _said(
            "Welcome, you are now connected to log-streaming service. "
            f"It closes after {seconds} s without a new line; the app setting SCM_LOGSTREAM_TIMEOUT changes that."
        )
        last, quiet_minutes = time.monotonic(), 0
        while not self._stopping.is_set():
            found = [
                line for line in tail.new_lines() if wanted in line.decode("utf-8", "replace").casefold()
            ]
            now = time.monotonic()
            if found:
                last, quiet_minutes = now, 0
                yield b"".join(found)
            elif now - last > seconds:
                yield _said(f"Stream terminated due to timeout {seconds} s of no new trace.")
                return
            elif now - last > _HEARTBEAT_SECONDS * (quiet_minutes + 1):
                quiet_minutes += 1
                yield _said(f"No new trace in the past {quiet_minutes} min(s).")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_SECONDS)
        yield _said("Stream terminated: the SCM site is stopping.")


class Tail:
    """The new lines of a folder's log files (or of one file), since the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[tuple[int, int], int] = {}

    def look(self, *, from_end: bool) -> list[tuple[Path, int, int]]:
        """Return the files that have grown, with where to read from and their identity's size."""
        grown: list[tuple[Path, int, int]] = []
        for path, found in _log_files(self._folder):
            identity = (found.st_dev, found.st_ino)
            start = found.st_size if from_end else self._read.get(identity, 0)
            start = start if start <= found.st_size else 0  # it was emptied and written anew
            self._read[identity] = start
            if start < found.st_size:
                grown.append((path, start, found.st_size))
        return grown

    def new_lines(self) -> Iterator[bytes]:
        """Return whole new lines of all files, each ended by a line feed; unreadable files are passed over."""
        for _, lines in self.new_lines_by_file():
            yield from lines

    def new_lines_by_file(self) -> Iterator[tuple[Path, list[bytes]]]:
        """Return the same with the file that each batch of lines is from."""
        for path, start, _ in self.look(from_end=False):
            with contextlib.suppress(OSError):
                if lines := self._lines_of(path, start):
                    yield path, lines

    def positions(self) -> dict[int, int]:
        """Return how far each file, by its inode, was read, in bytes; those looked at last come last."""
        return {inode: position for (_, inode), position in self._read.items()}

    def go_on_from(self, positions: Mapping[int, int], *, at_ns: int) -> None:
        """Take up where another tail stopped at the time `at_ns`.

        A file that it did not know is read from its beginning when it was written to since, else from its end.
        """
        for _, found in _log_files(self._folder):
            known = positions.get(found.st_ino)
            unknown = 0 if found.st_mtime_ns >= at_ns else found.st_size
            self._read[(found.st_dev, found.st_ino)] = unknown if known is None else known

    def _lines_of(self, path: Path, start: int) -> list[bytes]:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            data = os.pread(file.fileno(), _READ_BYTES, start) if stat.S_ISREG(found.st_mode) else b""
        end = data.rfind(b"\n") + 1
        if not end and len(data) >= _LONGEST_LINE:
            end = len(data)
        self._read[(found.st_dev, found.st_ino)] = start + end
        return [line + b"\n" for line in data[:end].splitlines()]


def _log_files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    if folder.is_file() and not folder.is_symlink():
        yield folder, folder.stat()
        return
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and Path(entry.name).suffix.lower() in _EXTENSIONS:
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def newest_log_files(folder: Path, *, most: int) -> list[tuple[Path, int]]:
    """Return the log files that were written last, with their sizes in bytes."""
    found = sorted(_log_files(folder), key=lambda pair: pair[1].st_mtime_ns, reverse=True)
    return [(path, status.st_size) for path, status in found[:most]]


def _said(text: str) -> bytes:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}  {text}\n".encode()
