"""Failures of the site's workers, for its owner: `LogFiles/homeport/failures/<id>.json`.

Workers run the site's code, so these files are as hostile as any upload: bounded, checked, never followed.
"""

import contextlib
import json
import os
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_MOST_BYTES = 512 * 1024
_MOST_SHOWN = 20
_MOST_LOOKED_AT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure; every text is the site's own and is not trusted.

    `kind` is `startup` or `request`, `preview` the deployment in whose preview it happened, empty for the live site.
    """

    id: str
    time: str
    headline: str
    traceback: str
    kind: str
    python: str
    handler: str
    method: str
    path: str
    preview: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object of the API."""
        return asdict(self)


class Failures:
    """Reads the reports of one site."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "LogFiles/homeport/failures"

    def newest(self) -> list[Failure]:
        """Return the newest reports that can be read, the newest first."""
        aged: list[tuple[int, str]] = []
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name.removesuffix(".json")
                if name != entry.name and _ID.fullmatch(name) and len(aged) < _MOST_LOOKED_AT:
                    with contextlib.suppress(OSError):
                        aged.append((entry.stat(follow_symlinks=False).st_mtime_ns, name))
        names = [name for _, name in sorted(aged, reverse=True)[:_MOST_SHOWN]]
        return [failure for name in names if (failure := self.read(name)) is not None]

    def read(self, identity: str) -> Failure | None:
        """Return one report, None where there is none or it is not one."""
        if not _ID.fullmatch(identity):
            return None
        try:
            value = json.loads(self._bytes(identity))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        names = ("time", "headline", "traceback", "kind", "python", "handler", "method", "path", "preview")
        texts = {name: _text(value.get(name)) for name in names}
        return Failure(id=identity, **texts)

    def _bytes(self, identity: str) -> bytes:
        path = self._folder / f"{identity}.json"
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
                raise ValueError("no report")
            return file.read(_MOST_BYTES)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)[:1000]
