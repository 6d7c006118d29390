"""Locks that are files: a `flock`, so a lock heals by itself when its holder dies. The file stays."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homeport.model.errors import HomeportError

_RETRY_SECONDS = 0.01
_LOOK_SECONDS = 0.02
"""Somebody who only looks whether a lock is held has it for some microseconds."""


def take_lock(path: Path, *, seconds: float = 0.0) -> int | None:
    """Take a lock and return the descriptor that holds it until it is closed; None where another keeps it.

    May block for `seconds`. Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + max(seconds, _LOOK_SECONDS)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
        except OSError:
            os.close(descriptor)
            raise
        time.sleep(_RETRY_SECONDS)


@contextmanager
def held_lock(path: Path, *, seconds: float = 0.0, busy: HomeportError) -> Iterator[None]:
    """Hold a lock; raises `busy` where another keeps it for `seconds`."""
    descriptor = take_lock(path, seconds=seconds)
    if descriptor is None:
        raise busy
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Tell whether anybody, in any process, holds a lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
