"""`/api/logs/recent`: the newest lines of the application's own logs (Kudu reference §9.2)."""

import asyncio
import contextlib
import os
import re
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.dotnet_time import offset_text
from homeport.scm.http.answers import json_answer
from homeport.scm.http.query import query_text

_LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\s+PID\[(?P<pid>\d{1,9})\]\s+"
    r"(?P<level>Information|Warning|Error)\s+(?P<message>.*)"
)
_STANDARD_TOP = 100
_OTHER_TOP = 500
_MOST_TOP = 1000
_MOST_FILES = 50
_TAIL_BYTES = 1024 * 1024
_FAILURES = "-logging-errors.txt"


class RecentLogsEndpoint:
    """Reads `LogFiles/Application/*-*.txt` of one site."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "LogFiles/Application"

    async def read(self, request: Request) -> Response:
        """GET: the newest entries first; `top` from 1 to 1000, anything else means 500."""
        return json_answer(
            await asyncio.to_thread(recent_entries, self._folder, _top(query_text(request, "top")))
        )


def recent_entries(folder: Path, top: int) -> list[dict[str, Any]]:
    """Return up to `top` entries of a folder's logs, the newest first; of each file only the last MiB counts."""
    files: list[tuple[int, Path]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".txt") and "-" in entry.name and not entry.name.endswith(_FAILURES):
                with contextlib.suppress(OSError):
                    files.append((entry.stat(follow_symlinks=False).st_mtime_ns, Path(entry.path)))
    found: list[dict[str, Any]] = []
    for _, path in sorted(files, reverse=True)[:_MOST_FILES]:
        with contextlib.suppress(OSError):
            found += parse_entries(_tail(path).decode("utf-8", "replace").splitlines())
    # Stable and backwards: of one second, the line written last comes first.
    newest = sorted(found, key=lambda entry: str(entry["timestamp"]))[::-1]
    return newest[:top]


def parse_entries(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Read entries in the order of the file; a line of another form continues the entry before it."""
    found: list[dict[str, Any]] = []
    for line in lines:
        match = _LINE.fullmatch(line)
        moment = _moment(match["time"]) if match else None
        if match and moment is not None:
            found.append(
                {
                    "timestamp": offset_text(int(moment.timestamp()) * 10**9),
                    "level": match["level"],
                    "pid": int(match["pid"]),
                    "message": match["message"],
                }
            )
        elif found:
            found[-1]["message"] += f"\n{line}"
    return found


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _top(text: str | None) -> int:
    if text is None:
        return _STANDARD_TOP
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return number if 1 <= number <= _MOST_TOP else _OTHER_TOP


def _tail(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0):
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return b""
        return os.pread(descriptor, _TAIL_BYTES, max(found.st_size - _TAIL_BYTES, 0))
