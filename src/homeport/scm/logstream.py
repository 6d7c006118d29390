"""`/api/logstream`: what is appended to the site's log files, as it is appended (Kudu reference §9.1)."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from homeport.model.errors import Forbidden
from homeport.scm.http.answers import message
from homeport.scm.http.query import query_text
from homeport.scm.log_follower import Behind, LogFollowers
from homeport.scm.settings.stack import SettingsProviders

_HEARTBEAT_SECONDS = 60.0


class LogStreamEndpoint:
    """Streams the files below `LogFiles`; `stopping` ends every stream."""

    def __init__(self, home: Path, *, providers: SettingsProviders, stopping: asyncio.Event) -> None:
        self._root = home / "LogFiles"
        self._providers = providers
        self._stopping = stopping
        self._followers = LogFollowers(stopping=stopping)

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
        return _Closing(lines, headers=headers)

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

    async def _lines(self, folder: Path, *, wanted: str, seconds: int) -> AsyncGenerator[bytes]:
        async with self._followers.reading(folder) as reader:
            yield _said(
                "Welcome, you are now connected to log-streaming service. "
                f"It closes after {seconds} s without a new line; the app setting SCM_LOGSTREAM_TIMEOUT changes that."
            )
            last, quiet_minutes = time.monotonic(), 0
            while not self._stopping.is_set():
                due = last + min(seconds, _HEARTBEAT_SECONDS * (quiet_minutes + 1))
                try:
                    found = _fitting(await reader.next_lines(until=due), wanted)
                except Behind as behind:
                    yield _said(
                        f"{behind.batches} batches of lines were left out: they came faster than read."
                    )
                    continue
                now = time.monotonic()
                if found:
                    last, quiet_minutes = now, 0
                    yield found
                elif now - last >= seconds:
                    yield _said(f"Stream terminated due to timeout {seconds} s of no new trace.")
                    return
                elif now - last >= _HEARTBEAT_SECONDS * (quiet_minutes + 1):
                    quiet_minutes += 1
                    yield _said(f"No new trace in the past {quiet_minutes} min(s).")
        yield _said("Stream terminated: the SCM site is stopping.")


class _Closing(StreamingResponse):
    """Ends its lines as soon as nobody reads them."""

    async def stream_response(self, send: Send) -> None:
        """Send them."""
        lines = self.body_iterator
        assert isinstance(lines, AsyncGenerator)
        async with contextlib.aclosing(lines):
            await super().stream_response(send)


def _fitting(lines: bytes, wanted: str) -> bytes:
    """Return the lines that hold the text `wanted`, without regard to case."""
    if not wanted:
        return lines
    return b"".join(
        line
        for line in lines.splitlines(keepends=True)
        if wanted in line.decode("utf-8", "replace").casefold()
    )


def _said(text: str) -> bytes:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}  {text}\n".encode()
