"""Log lines as server-sent events, which a browser takes up again where they broke off (`Last-Event-ID`)."""

import asyncio
import base64
import contextlib
import json
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from homeport.scm.http.query import query_text
from homeport.scm.log_files import Tail

_LOOK_SECONDS = 0.25
_PING_SECONDS = 15.0
_MOST_FILES = 300
_MOST_CURSOR_BYTES = 64 * 1024
_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}


class LogEvents:
    """Streams what is appended below `LogFiles`; each event says how far it got."""

    def __init__(self, home: Path, *, stopping: asyncio.Event) -> None:
        self._root = home / "LogFiles"
        self._stopping = stopping

    async def stream(self, request: Request) -> Response:
        """GET `/api/homeport/logs`: events of `[{"file", "text"}, …]`, from now on or from a cursor."""
        cursor = request.headers.get("last-event-id") or query_text(request, "cursor") or ""
        return StreamingResponse(self._events(cursor), headers=_HEADERS)

    async def _events(self, cursor: str) -> AsyncIterator[bytes]:
        tail = Tail(self._root)
        if read := read_cursor(cursor):
            positions, at_ns = read
            await asyncio.to_thread(tail.go_on_from, positions, at_ns=at_ns)
        else:
            await asyncio.to_thread(tail.look, from_end=True)
        yield _event([], tail)
        said = time.monotonic()
        while not self._stopping.is_set():
            lines = await asyncio.to_thread(self._new, tail)
            if lines:
                said = time.monotonic()
                yield _event(lines, tail)
            elif time.monotonic() - said > _PING_SECONDS:
                said = time.monotonic()
                yield b": still here\n\n"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_SECONDS)

    def _new(self, tail: Tail) -> list[dict[str, str]]:
        return [
            {"file": str(path.relative_to(self._root)), "text": line.decode("utf-8", "replace").rstrip("\n")}
            for path, lines in tail.new_lines_by_file()
            for line in lines
        ]


def make_cursor(positions: Mapping[int, int], *, at_ns: int) -> str:
    """Write down how far a tail got, as short text; of very many files those looked at last are in it."""
    kept = list(positions.items())[-_MOST_FILES:]
    text = json.dumps([at_ns, kept], separators=(",", ":"))
    return base64.urlsafe_b64encode(zlib.compress(text.encode())).decode("ascii")


def read_cursor(text: str) -> tuple[dict[int, int], int] | None:
    """Read a cursor; None for anything that is none."""
    try:
        packed = base64.urlsafe_b64decode(text)
        at_ns, pairs = json.loads(zlib.decompressobj().decompress(packed, _MOST_CURSOR_BYTES))
        return {int(inode): max(0, int(position)) for inode, position in pairs}, int(at_ns)
    except (ValueError, TypeError, zlib.error, RecursionError):
        return None


def _event(lines: list[dict[str, str]], tail: Tail) -> bytes:
    cursor = make_cursor(tail.positions(), at_ns=time.time_ns())
    return f"id: {cursor}\ndata: {json.dumps(lines)}\n\n".encode()
