"""State on disk that a kill at any moment leaves whole: written aside, flushed, renamed."""

import json
import os
from pathlib import Path


def write_state(path: Path, value: object, *, mode: int = 0o600) -> None:
    """Write a JSON value atomically and durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(value, sort_keys=True))  # without indentation: many times quicker
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def read_state(path: Path) -> object | None:
    """Read a JSON value; None when the file is missing or is not JSON."""
    try:
        value: object = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value
