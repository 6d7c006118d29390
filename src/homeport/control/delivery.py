"""Delivering the desired state to the agent: at the start, after each change, and again until it arrives."""

import asyncio
from collections.abc import Mapping

import structlog

from homeport.control.agent_client import AgentClient
from homeport.control.desired import desired_site
from homeport.control.options import ControlOptions
from homeport.control.store.sites import SiteStore
from homeport.model.errors import HomeportError, NotFound, Unavailable
from homeport.model.site import SiteName

_log = structlog.get_logger(__name__)
_CHECK_SECONDS = 15.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 3.0


class Delivery:
    """Keeps the agent at the store's revision."""

    def __init__(self, store: SiteStore, agent: AgentClient, options: ControlOptions) -> None:
        self._store = store
        self._agent = agent
        self._options = options
        self._lock = asyncio.Lock()
        self._deletion_lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._delivered = -1
        self._problems: Mapping[str, str] = {}

    async def deliver(self) -> Mapping[str, str]:
        """Deliver what is stored now; return the sites that could not be brought about, with the reason.

        Raises `Unavailable` when the agent does not take it; it is then delivered later by `run`.
        """
        needed = await asyncio.to_thread(self._store.revision)
        async with self._lock:
            if (
                needed <= self._delivered
            ):  # taken along by whoever held the lock: many changes, few deliveries
                return self._problems
            revision, sites = await asyncio.to_thread(self._store.snapshot)
            wanted = [desired_site(site, self._options) for site in sites if not site.deleting]
            try:
                self._problems = await self._agent.put_desired(revision, wanted)
            except HomeportError as error:
                self._wanted.set()
                raise Unavailable(
                    f"The change is stored and takes effect once the agent has it. {error.message}",
                    code=error.code,
                ) from error
            self._delivered = revision
            return self._problems

    async def finish_deletions(self) -> Mapping[str, HomeportError]:
        """Delete the files of sites that are being deleted, then forget them; return those that could not be, and why.

        Raises `Unavailable` when the agent does not even stop hosting them.
        """
        async with self._deletion_lock:
            await self.deliver()
            failures: dict[str, HomeportError] = {}
            for name in await asyncio.to_thread(self._store.deleting):
                try:
                    await self._finish_deletion(name)
                except HomeportError as error:
                    _log.warning("site.not-deleted", site=name, reason=error.message)
                    failures[name] = error
            return failures

    async def _finish_deletion(self, name: SiteName) -> None:
        try:
            await self._agent.delete_home(name)
        except NotFound:
            _log.info("site.had-no-files", site=name)
        await asyncio.to_thread(self._store.end_deletion, name)

    async def run(self) -> None:
        """Deliver at the start, whenever a delivery failed, and when an agent comes back with another state."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._wanted.clear()
            try:
                await self._check()
                for error in (await self.finish_deletions()).values():
                    raise error
            except HomeportError as error:
                _log.warning("desired-state.not-delivered", reason=error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            pause = _FIRST_PAUSE_SECONDS
            try:
                await asyncio.wait_for(self._wanted.wait(), _CHECK_SECONDS)
            except TimeoutError:
                continue

    async def _check(self) -> None:
        observed = await self._agent.observed()
        async with self._lock:
            if observed.revision < self._delivered:
                self._delivered = -1
