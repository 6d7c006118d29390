"""The deployment lock of a site: `site/locks/deployments.lock` (Kudu reference §0.5).

The lock is a `flock` on the file, so it heals by itself when its holder dies; the file's JSON only tells others
who holds it since when. The file stays when nobody holds the lock, and is empty then.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from homeport.model.errors import Conflict
from homeport.scm.dotnet_time import utc_text
from homeport.scm.lock_file import is_locked, take_lock

_RETRY_SECONDS = 0.1
_END_SECONDS = 30.0
_ENDING = "Ending a deployment"
DEPLOYING = "Deploying"
"""The operation that runs once a package is stored; others are told that a deployment is in progress."""


class LockHeld(Conflict):
    """Somebody else works on the site's content; the message names both operations."""

    code = "DeploymentInProgress"


class HeldLock:
    """The lock while it is held; released by `release` or at the end of a `with`."""

    def __init__(self, descriptor: int, *, instance: str) -> None:
        self._descriptor: int | None = descriptor
        self._instance = instance

    def describe(self, operation: str) -> None:
        """Tell others what is going on from now on."""
        if self._descriptor is None:
            return
        text = {
            "OperationName": operation,
            "AcquiredDateTime": utc_text(datetime.now(UTC)),
            "StackTrace": "",
            "InstanceId": self._instance,
        }
        with contextlib.suppress(OSError):  # a full disk does not stop the work
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(text).encode(), 0)

    def release(self) -> None:
        """Give the lock back; doing it twice is harmless."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> "HeldLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class DeploymentLock:
    """The lock of one site."""

    def __init__(self, home: Path, *, instance: str) -> None:
        self._path = home / "site/locks/deployments.lock"
        self._instance = instance
        self._held: HeldLock | None = None

    def acquire(self, operation: str) -> HeldLock:
        """Take the lock at once; raises `LockHeld`."""
        descriptor = take_lock(self._path)
        if descriptor is None:
            raise LockHeld(self._refusal(operation))
        held = HeldLock(descriptor, instance=self._instance)
        held.describe(operation)
        self._held = held
        return held

    async def acquire_soon(self, operation: str) -> HeldLock:
        """Take the lock at once, or as soon as an operation that only tidies up gives it back; raises `LockHeld`.

        Whoever read that a deployment is complete can begin the next one.
        """
        return await self._acquire_within(_END_SECONDS, operation, hopeful=self._is_ending)

    def describe_end(self) -> None:
        """Tell others that what holds the lock is done, and only tidies up; nothing where this object does not hold it."""
        if self._held is not None:
            self._held.describe(_ENDING)

    async def wait(self, operation: str, *, seconds: float) -> HeldLock:
        """Take the lock within `seconds`; raises `LockHeld`."""
        return await self._acquire_within(seconds, operation)

    def is_held(self) -> bool:
        """Tell whether anybody, in any process, holds the lock."""
        return is_locked(self._path)

    async def _acquire_within(
        self, seconds: float, operation: str, *, hopeful: Callable[[], bool] = lambda: True
    ) -> HeldLock:
        """Try again and again while it is `hopeful`; raises `LockHeld`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.acquire(operation)
            except LockHeld:
                if time.monotonic() + _RETRY_SECONDS > deadline or not hopeful():
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    def _is_ending(self) -> bool:
        """Tell whether the holder only tidies up; without a name the lock was given back, or taken, at this very moment."""
        return bool(self._holder().get("OperationName", _ENDING) == _ENDING)

    def _refusal(self, operation: str) -> str:
        holder = self._holder()
        pending = holder.get("OperationName") or "another operation"
        if pending == DEPLOYING:
            return "There is a deployment currently in progress. Please try again when it completes."
        since = holder.get("AcquiredDateTime") or "a moment ago"
        return (
            f"Cannot perform '{operation}' because '{pending}' has been in progress since {since}. "
            "Please try again later."
        )

    def _holder(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_bytes()[:4096])
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
