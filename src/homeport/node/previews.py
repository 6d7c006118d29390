"""Previews: kept deployments of a site, each served at an address of its own, for a while (decision 12).

A preview is hosted as a site is, in a sandbox of its own with the site's user, settings and limits. Its home holds the
content and packages of the deployment; everything else there is a link to the live site's home, which its sandbox
shows beside it. It ends when it was not used for a while, when it is old, when somebody ends it, with its site, and with
the agent, which removes at its start what one that was killed has left.
"""

import asyncio
import dataclasses
import os
import secrets
import time
from collections.abc import Callable, Iterable

import structlog

from homeport.model.errors import Conflict, NotFound, Unavailable
from homeport.model.preview import (
    LIVE_HOME,
    MOST_PREVIEWS,
    SETTING,
    Lifetime,
    free_slot,
    preview_id,
    preview_name,
)
from homeport.model.site import FTPS_DISABLED, DesiredSite, SiteName, SiteState
from homeport.node.hosted_site import HostedSite, Node
from homeport.node.log_files import LogFile
from homeport.node.network import remove_namespace
from homeport.node.nginx.preview_door import ENTRANCE
from homeport.node.preview_home import stale_previews, take_home
from homeport.node.sandbox import Mount
from homeport.node.site_home import prepare_outer_folder, remove_site_home
from homeport.node.tenant_files import TenantTree

_log = structlog.get_logger(__name__)
_TOKEN_BYTES = 32
_LONGEST_LOOK_SECONDS = 60.0
_LOGS = "LogFiles/"
_NUMBERS_OF_SITES = 1_000_000
"""Users of sites are numbered from 60001 on; each of a site's previews has a number beyond all of them."""


def preview_of(site: DesiredSite, *, name: str, deployment: str, domain: str) -> DesiredSite:
    """Return what is desired of a preview: what is desired of its site, under another name, without FTP and access log."""
    return dataclasses.replace(
        site,
        name=SiteName(name),
        hostnames=(f"{name}.{domain}",),
        scm_hostnames=(),
        app_settings={**site.app_settings, SETTING: deployment},
        config=dataclasses.replace(site.config, http_logging=False, ftps_state=FTPS_DISABLED),
    )


class HostedPreview(HostedSite):
    """One preview. It has no SCM app, takes no FTP, and asks nothing of the agent."""

    _has_scm = False

    def __init__(
        self,
        node: Node,
        site: DesiredSite,
        *,
        deployment: str,
        slot: int,
        changed: Callable[[], None],
    ) -> None:
        self.site = site
        self.deployment = deployment
        self.short = preview_id(deployment)
        self.slot = slot
        self._live = node.layout.home(site.name)
        self._preview_token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.lifetime = Lifetime(started=time.time(), used=time.time())
        self.timer: asyncio.TimerHandle | None = None
        super().__init__(
            node, self._desired(node, site), changed=changed, number=site.uid + slot * _NUMBERS_OF_SITES
        )

    def start(self) -> None:
        """Begin to watch the content, bring the plan into force."""
        self._prepare()
        self._node.watcher.watch(self.desired.name, self._content, self._content_changed)
        self.replan("the preview was started")

    def follow(self, site: DesiredSite) -> None:
        """Take over what is desired of the live site by now."""
        if site != self.site:
            self.site = site
            self.update(self._desired(self._node, site))

    def used(self) -> None:
        """Note that somebody looks at it."""
        self.lifetime = dataclasses.replace(self.lifetime, used=time.time())

    def refresh_package(self) -> None:
        """Do nothing: the content is that of its deployment."""

    def to_json(self) -> dict[str, object]:
        """Tell the owner where it is: `address` holds the token that opens it."""
        return {
            "deployment": self.deployment,
            "id": self.short,
            "host": self.desired.hostnames[0],
            "address": f"{ENTRANCE}?token={self._preview_token}",
            "started": self.lifetime.started,
            "expires": self.lifetime.ends,
            "problem": self.reason,
        }

    def _desired(self, node: Node, site: DesiredSite) -> DesiredSite:
        name = preview_name(site.name, self.short)
        return preview_of(site, name=name, deployment=self.deployment, domain=node.options.domain)

    @property
    def _known(self) -> DesiredSite:
        return dataclasses.replace(self.desired, name=self.site.name)

    def _prepare(self) -> None:
        prepare_outer_folder(self._node.layout, self.desired, web_group=self._node.web_group)

    def _own_mounts(self) -> tuple[Mount, ...]:
        return (Mount(source=self._live, target=LIVE_HOME, writable=True),)

    def _log_file(self, path: str) -> LogFile:
        """Give a log in the live site's LogFiles, with the preview's name in its own."""
        if not path.startswith(_LOGS):
            return super()._log_file(path)
        folder, _, name = path.rpartition("/")
        owner = self.desired.uid if os.geteuid() == 0 else None
        return LogFile(TenantTree(self._live), f"{folder}/preview-{self.short}-{name}", owner=owner)


class Previews:
    """The previews of all sites of this node, by name. `mark` has the agent give nginx what changed."""

    def __init__(self, *, mark: Callable[[str], None]) -> None:
        self._mark = mark
        self._starting = asyncio.Lock()
        self.units: dict[str, HostedPreview] = {}

    async def start(self, node: Node, site: DesiredSite, deployment: str) -> dict[str, object]:
        """Serve the home that was prepared, once nginx does return what `HostedPreview.to_json` gives.

        One that there is already goes on. Raises `Invalid`, `Conflict` (too many, not running) and `NotFound`.
        """
        short = preview_id(deployment)
        name = preview_name(site.name, short)
        async with self._starting:
            known = self.units.get(name)
            if known is None:
                known = await self._make(node, site, name, deployment)
            elif known.deployment != deployment:
                raise Conflict(
                    f"There is a preview of '{known.deployment}', whose id begins alike: end it first."
                )
        await known.in_force()
        if known.reason:
            await self.end(node, site.name, deployment)
            raise Unavailable(f"The preview cannot be served: {known.reason}")
        return known.to_json()

    def of_site(self, site: str) -> list[HostedPreview]:
        """Return the previews of a site, the oldest first."""
        found = [unit for unit in self.units.values() if unit.site.name == site]
        return sorted(found, key=lambda unit: unit.lifetime.started)

    async def end(self, node: Node, site: str, deployment: str) -> None:
        """End the preview of a deployment. Raises `NotFound`."""
        unit = self.units.get(preview_name(site, preview_id(deployment)))
        if unit is None or unit.deployment != deployment:
            raise NotFound(f"There is no preview of deployment '{deployment}'.")
        await self._end(node, unit, reason="its owner ended it")

    async def follow(self, node: Node, sites: Iterable[DesiredSite]) -> None:
        """Give previews what changed of their sites, and end those whose site is gone or stopped."""
        wanted = {str(site.name): site for site in sites}
        for unit in list(self.units.values()):
            site = wanted.get(unit.site.name)
            if site is None or site.state is not SiteState.RUNNING:
                await self._end(node, unit, reason="its site is gone or stopped")
            else:
                unit.follow(site)

    async def end_all(self, node: Node) -> None:
        """End every preview: the agent ends."""
        await asyncio.gather(
            *(self._end(node, unit, reason="the platform ends") for unit in list(self.units.values()))
        )

    def used(self, host: str) -> bool:
        """Note a request to a host name; False where it is no preview's."""
        unit = self.units.get(host.partition(".")[0])
        if unit is None or host not in unit.desired.hostnames:
            return False
        unit.used()
        return True

    async def _make(self, node: Node, site: DesiredSite, name: str, deployment: str) -> HostedPreview:
        if site.state is not SiteState.RUNNING:
            raise Conflict(f"'{site.name}' is stopped, and so are its previews.")
        slot = free_slot(frozenset(unit.slot for unit in self.of_site(site.name)))
        if slot is None:
            shown = ", ".join(unit.deployment for unit in self.of_site(site.name))
            raise Conflict(
                f"A site has at most {MOST_PREVIEWS} previews at the same time: end that of {shown}."
            )
        owner = site.uid if os.geteuid() == 0 else None
        await asyncio.to_thread(take_home, node.layout, site.name, name, preview_id(deployment), owner=owner)
        unit = HostedPreview(node, site, deployment=deployment, slot=slot, changed=lambda: self._mark(name))
        self.units[name] = unit
        try:
            unit.start()
        except BaseException:
            await self._end(node, unit, reason="it could not be started")
            raise
        self._mark(name)
        self._look_later(node, unit)
        return unit

    def _look_later(self, node: Node, unit: HostedPreview) -> None:
        left = unit.lifetime.ends - time.time()
        if left <= 0:
            node.spawn(self._end(node, unit, reason="its time is over"))
            return
        loop = asyncio.get_running_loop()
        unit.timer = loop.call_later(min(left, _LONGEST_LOOK_SECONDS), self._look_later, node, unit)

    async def _end(self, node: Node, unit: HostedPreview, *, reason: str) -> None:
        name = unit.desired.name
        if self.units.get(name) is not unit:
            return
        if unit.timer is not None:
            unit.timer.cancel()
        _log.info("preview.ended", site=unit.site.name, deployment=unit.deployment, reason=reason)
        del self.units[name]
        self._mark(name)
        await unit.close()
        node.authority.forget(name)
        await asyncio.to_thread(remove_site_home, node.layout, name)


async def remove_stale(node: Node) -> None:
    """Remove what previews of an agent that was killed have left; its processes ended with it. Raises `Unavailable`."""
    for name in stale_previews(node.layout):
        node.authority.forget(name)
        for socket in node.layout.sockets.glob(f"{name}.*.sock"):
            socket.unlink(missing_ok=True)
        if (node.layout.namespaces / name).exists():
            await remove_namespace(node.layout.namespaces / name)
        # The folder goes last: it is what the others are found by.
        await asyncio.to_thread(remove_site_home, node.layout, name)
