"""The log of one deployment: `log.log`, one entry per line, readable while it grows (Kudu reference §4.5)."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

from homeport.scm.dotnet_time import read_utc, utc_text

_ESCAPES = (
    ("\r\n", "&newline;"),
    ("\n", "&newline;"),
    ("\r", "&newline;"),
    (",", "&comma;"),
    ("\t", "&tab;"),
)
_MOST_CHARACTERS = 8192
_MOST_BYTES = 16 * 1024 * 1024


class Kind(IntEnum):
    """How much an entry matters; a parent reports the most of its children."""

    MESSAGE = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry and its children; a child has no id."""

    time: datetime
    message: str
    id: str
    kind: Kind
    children: tuple["LogEntry", ...] = ()

    @property
    def worst(self) -> Kind:
        """The entry's kind, or a child's that matters more."""
        return max([self.kind, *(child.kind for child in self.children)])


class DeploymentLog:
    """Writes and reads one log file. Writing never fails: a full disk must not change a deployment's end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._full = False
        self._follow: Callable[[str], None] | None = None

    def follow(self, say: Callable[[str], None] | None) -> None:
        """Let somebody hear every message as it is written."""
        self._follow = say

    def exists(self) -> bool:
        """Tell whether there is a log."""
        return self._path.is_file()

    def clear(self) -> None:
        """Begin anew, for another attempt."""
        self._path.unlink(missing_ok=True)

    def entry(self, message: str, kind: Kind = Kind.MESSAGE) -> None:
        """Append a top-level entry; following children belong to it."""
        self._append(message, kind=kind, identity=str(uuid.uuid4()), depth=0)

    def child(self, message: str, kind: Kind = Kind.MESSAGE) -> None:
        """Append a child of the latest entry."""
        self._append(message, kind=kind, identity="", depth=1)

    def error(self, text: str) -> None:
        """Append each line of a text as a child that says an error."""
        for line in text.splitlines() or [""]:
            self.child(line, Kind.ERROR)

    def read(self) -> list[LogEntry]:
        """Return the top-level entries with their children; none where another attempt is just beginning anew."""
        try:
            return list(_entries(self._path))
        except FileNotFoundError:
            return []

    def _append(self, message: str, *, kind: Kind, identity: str, depth: int) -> None:
        if self._follow is not None:
            self._follow(message)
        if self._full:
            return
        time = utc_text(datetime.now(UTC))
        line = f"{chr(9) * depth}{time},{_escape(message[:_MOST_CHARACTERS])},{identity},{int(kind)}\n"
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(line)
            if file.tell() > _MOST_BYTES:
                self._full = True
                file.write(f"\t{time},Further output is left out.,,{int(Kind.WARNING)}\n")


def entry_json(entry: LogEntry, *, address: str | None) -> dict[str, Any]:
    """Return the object of the API; `address` is the URL of the log, for entries that have details."""
    details = f"{address}/{entry.id}" if address is not None and entry.children else None
    return {
        "log_time": utc_text(entry.time),
        "id": entry.id,
        "message": entry.message,
        "type": int(entry.worst),
        "details_url": details,
    }


def _entries(path: Path) -> Iterator[LogEntry]:
    parent: LogEntry | None = None
    children: list[LogEntry] = []
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            if not line.endswith("\n"):
                break  # it is being written
            depth = len(line) - len(line.lstrip("\t"))
            entry = _entry(line.strip("\t\n"))
            if entry is None:
                continue
            if depth:
                children.append(entry)
                continue
            if parent is not None:
                yield _with_children(parent, children)
            parent, children = entry, []
    if parent is not None:
        yield _with_children(parent, children)


def _with_children(parent: LogEntry, children: list[LogEntry]) -> LogEntry:
    return LogEntry(
        time=parent.time, message=parent.message, id=parent.id, kind=parent.kind, children=tuple(children)
    )


def _entry(line: str) -> LogEntry | None:
    parts = line.split(",")
    time = read_utc(parts[0])
    if len(parts) != 4 or time is None or parts[3] not in {"0", "1", "2"}:
        return None
    return LogEntry(time=time, message=_unescape(parts[1]), id=parts[2], kind=Kind(int(parts[3])))


def _escape(text: str) -> str:
    for raw, escaped in _ESCAPES:
        text = text.replace(raw, escaped)
    return text


def _unescape(text: str) -> str:
    return text.replace("&comma;", ",").replace("&newline;", "\n").replace("&tab;", "\t")
