"""Deployments that run: each in a thread, with the lock, counted as work that keeps the process alive."""

import asyncio
import sys
import traceback
from collections.abc import Callable

from homeport.scm.deployments.archive import UnsafePackage
from homeport.scm.deployments.deployer import PackageFailed
from homeport.scm.deployments.git_repository import GitFailed
from homeport.scm.deployments.lock import HeldLock
from homeport.scm.http.boundary import Activity


class DeploymentRuns:
    """Owns the deployments that run in the background."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        self._running: set[asyncio.Future[None]] = set()

    def start(self, deploy: Callable[[], None], held: HeldLock) -> "asyncio.Future[None]":
        """Deploy in a thread; the lock goes back and the process counts as busy until it is done."""

        def run() -> None:
            with held:
                deploy()

        future = asyncio.get_running_loop().run_in_executor(None, run)
        busy = self._activity.busy()
        busy.__enter__()
        self._running.add(future)

        def done(ended: asyncio.Future[None]) -> None:
            self._running.discard(ended)
            busy.__exit__(None, None, None)
            error = None if ended.cancelled() else ended.exception()
            if error is not None and not isinstance(error, UnsafePackage | PackageFailed | GitFailed):
                traceback.print_exception(error, file=sys.stderr)  # the others are in the record

        future.add_done_callback(done)
        return future

    async def settled(self) -> None:
        """Wait until no deployment runs; how they ended is in their records."""
        if self._running:
            await asyncio.wait(tuple(self._running))
