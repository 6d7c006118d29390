"""The agent: makes the desired sites true on this machine and keeps them true.

It remembers the last desired state on disk, so it serves without the control plane. Everything it does happens in
one event loop and one task group; what may block for long (preparing a Python, deleting a site) runs in a thread.
"""

import asyncio
import grp
import os
import pwd
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path

import structlog

from homeport.model.errors import HomeportError, NotFound
from homeport.model.site import DesiredSite
from homeport.node.agent_values import desired_site_from_json, desired_site_to_json
from homeport.node.certificates import LocalAuthority
from homeport.node.cgroups import find_cgroups
from homeport.node.control_plane import ControlPlane
from homeport.node.front_network import FrontConnections
from homeport.node.hosted_site import HostedSite, Node
from homeport.node.layout import node_layout
from homeport.node.listening import readable
from homeport.node.nginx.main import Certificates, MainConfig, render_certificates, render_main
from homeport.node.nginx.server import host_name
from homeport.node.nginx_scheduling import NginxScheduling
from homeport.node.nginx_service import NginxService
from homeport.node.options import PlatformOptions
from homeport.node.pools.http_pool import HttpServerPool
from homeport.node.previews import Previews, remove_stale
from homeport.node.request_accounting import RequestAccounting
from homeport.node.request_log import RequestLog
from homeport.node.request_metrics import RequestMetrics
from homeport.node.runtime_install import install_runtime, remove_runtime
from homeport.node.scm_applications import scm_sites
from homeport.node.seccomp import compile_filter
from homeport.node.site_environment import instance_id
from homeport.node.site_home import remove_site_home
from homeport.node.state_file import read_state, write_state
from homeport.node.watcher import ContentWatcher
from homeport.runtimes.gallery import Gallery
from homeport.runtimes.seed import refresh_workers

_log = structlog.get_logger(__name__)
_REFRESHING_AT_ONCE = 4
_BUSY_TICK_SECONDS = 0.05
_QUIET_TICK_SECONDS = 0.25
_QUIET_SHARES = 4
"""Into how many parts the quiet pools are divided: one is looked after at each quiet turn."""
_BURST_SECONDS = 0.02
_RENEWAL_SECONDS = 12 * 3600.0
_WEB_USER = "www-data"


class Agent:
    """All sites of this node."""

    def __init__(self, options: PlatformOptions) -> None:
        self.options = options
        self.layout = node_layout(options.data)
        self.sites: dict[str, HostedSite] = {}
        self.previews = Previews(mark=self._mark)
        self.revision = 0
        self.gallery = Gallery(self.layout.runtimes)
        self._desired_file = self.layout.state / "desired.json"
        self._apply_lock = asyncio.Lock()
        self._dirty: set[str] = set()
        self._dirty_event = asyncio.Event()
        self._problems: dict[str, str] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._nginx = NginxService(self.layout, main=self._main_text)
        self._scheduling = NginxScheduling()
        self._front = FrontConnections(self.layout.front if os.geteuid() == 0 else None)
        self._watcher = ContentWatcher()
        self.metrics = RequestMetrics()
        self._servers: dict[str, HostedSite] = {}
        self._request_log = RequestLog(
            self.layout.request_log,
            handle=RequestAccounting(self.metrics, site_of=self._site_of).take,
            reopen=self._nginx.reopen_logs,
        )
        self._node = Node(
            layout=self.layout,
            options=options,
            cgroups=find_cgroups(self.layout.run.name),
            seccomp=compile_filter(),
            authority=LocalAuthority(self.layout.tls, group=web_group()),
            watcher=self._watcher,
            spawn=self.spawn,
            instance=instance_id(),
            web_group=web_group(),
            gallery=self.gallery,
            control_plane=ControlPlane(self.layout.control_socket),
            previews=self.previews,
            refreshing=asyncio.Semaphore(_REFRESHING_AT_ONCE),
        )
        self._platform_certificate = self._node.authority.issue_platform(options.domain)
        self._issue_ftp_certificate()

    async def run(self, serve: Callable[["Agent", asyncio.TaskGroup], Awaitable[None]]) -> None:
        """Take up the remembered state, then run `serve` (the API) until it ends; then end every process."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            watching = tasks.create_task(self._watcher.run())
            ticking = tasks.create_task(self._tick_forever())
            await self._take_up()
            refreshing = tasks.create_task(self._refresh_forever())
            reading = tasks.create_task(self._request_log.run())
            renewing = tasks.create_task(self._renew_forever())
            await serve(self, tasks)
            for task in (watching, ticking, refreshing, renewing, reading):
                task.cancel()
            await self.previews.end_all(self._node)
            await asyncio.gather(*(site.close() for site in self.sites.values()))
            self._front.close()

    @property
    def missing(self) -> tuple[str, ...]:
        """The protections that this machine cannot give to sites, in words."""
        if os.geteuid() == 0:
            return self._node.cgroups.missing
        return (*self._node.cgroups.missing, "one user per site", "network of its own per site")

    def spawn(self, work: Coroutine[object, object, None]) -> object:
        """Run a coroutine in the agent's task group; its failure is logged and hurts nobody else."""
        if self._tasks is None:
            raise RuntimeError("the agent does not run")
        return self._tasks.create_task(_guarded(work))

    async def apply(self, revision: int, sites: Iterable[DesiredSite]) -> dict[str, str]:
        """Make this the desired state; return once nginx serves it, with a message for each site that cannot be."""
        wanted = {site.name: site for site in sites}
        async with self._apply_lock:
            problems = {}
            self._dirty |= self.sites.keys() - wanted.keys()
            gone = [self.sites.pop(name) for name in list(self.sites) if name not in wanted]
            for name, desired in wanted.items():
                try:
                    self._bring(name, desired)
                except (HomeportError, OSError) as error:
                    _log.error("site.not-applied", site=name, reason=str(error))
                    problems[name] = str(error)
                except Exception as error:  # noqa: BLE001 — one site's content must not stop the others
                    _log.exception("site.not-applied", site=name)
                    problems[name] = f"The site could not be brought up: {error!r}."
            self.revision = revision
            write_state(
                self._desired_file,
                {"revision": revision, "sites": [desired_site_to_json(site) for site in wanted.values()]},
            )
            await self._refresh()
            self._servers.clear()
            self._servers.update({site.desired.hostnames[0]: site for site in self.sites.values()})
            self.metrics.forget(site.name for site in gone)
            await asyncio.gather(*(site.close() for site in gone))
            await self.previews.follow(self._node, list(wanted.values()))
            return problems | {name: text for name, text in self._problems.items() if name in wanted}

    async def delete_home(self, name: str) -> None:
        """Delete the files of a site that is no longer desired. Raises `NotFound`."""
        if name in self.sites or not self.layout.site(name).exists():
            raise NotFound(f"There are no files of a former site '{name}'.")
        self._node.authority.forget(name)
        await asyncio.to_thread(remove_site_home, self.layout, name)

    def site(self, name: str) -> HostedSite:
        """Return a hosted site. Raises `NotFound`."""
        try:
            return self.sites[name]
        except KeyError:
            raise NotFound(f"This node hosts no site '{name}'.") from None

    def served(self, name: str) -> HostedSite:
        """Return a hosted site or preview. Raises `NotFound`."""
        return self.previews.units.get(name) or self.site(name)

    async def install(
        self, name: str, runtime_id: str, *, policy: str, progress: Callable[[str, float], None]
    ) -> dict[str, object]:
        """Install a Python into a site (see `runtime_install`)."""
        return await install_runtime(
            self.site(name), self.gallery, self.layout, runtime_id, policy=policy, progress=progress
        )

    async def uninstall(self, name: str, folder: str) -> None:
        """Remove a Python from a site."""
        await remove_runtime(self.site(name), folder)

    def _issue_ftp_certificate(self) -> None:
        if self.options.serves_ftp:
            self._node.authority.issue_ftp(self.options.domain)

    def _bring(self, name: str, desired: DesiredSite) -> None:
        site = self.sites.get(name)
        if site is None:
            site = HostedSite(self._node, desired, changed=lambda: self._mark(name))
            self.sites[name] = site
            self._mark(name)
            site.start()
        elif site.desired != desired:
            self._mark(name)
            site.update(desired)

    @property
    def _served(self) -> dict[str, HostedSite]:
        """Every site and preview by name."""
        return {**self.sites, **self.previews.units}

    def _site_of(self, server: str) -> HostedSite | None:
        """Find the site of an nginx server; a preview's requests are counted for nobody."""
        return None if self.previews.used(server) else self._servers.get(server)

    def _mark(self, name: str) -> None:
        self._dirty.add(name)
        self._dirty_event.set()

    async def _refresh_forever(self) -> None:
        """Give nginx the sites that changed, one reload for a burst."""
        while True:
            await self._dirty_event.wait()
            await asyncio.sleep(_BURST_SECONDS)
            async with self._apply_lock:
                await self._refresh()

    async def _renew_forever(self) -> None:
        """Replace certificates before they end, and remove access logs that are too old."""
        while True:
            await asyncio.sleep(_RENEWAL_SECONDS)
            try:
                self._node.authority.issue_platform(self.options.domain)
                self._issue_ftp_certificate()
                for site in list(self.sites.values()):
                    site.renew_certificate()
                    site.tidy_access_log()
            except (HomeportError, OSError, ValueError) as error:
                _log.error("certificates.not-renewed", reason=str(error))

    async def _refresh(self) -> None:
        self._dirty_event.clear()
        dirty, self._dirty = self._dirty, set()
        if not dirty:
            return
        texts, problems = self._texts(dirty)
        try:
            problems |= await self._nginx.apply(texts, certificates=self._certificates())
        except (HomeportError, OSError) as error:
            _log.error("nginx.not-reloaded", reason=str(error))
            problems |= dict.fromkeys(dirty, str(error))
        for name in dirty:
            self._problems.pop(name, None)
            site = self._served.get(name)
            if site is not None:
                site.reason = problems.get(name, "")
                if name not in self._dirty:  # else nginx serves by a plan that is an older one by now
                    site.retire_pools()
        self._problems |= problems

    def _texts(self, names: Iterable[str]) -> tuple[dict[str, str | None], dict[str, str]]:
        """Render the sites; one that cannot be rendered keeps its last text, and the reason is returned for it."""
        texts: dict[str, str | None] = {}
        problems = {}
        served = self._served
        for name in names:
            try:
                texts[name] = served[name].nginx_text() if name in served else None
            except HomeportError as error:
                problems[name] = str(error)
            except Exception as error:  # noqa: BLE001 — one site's configuration must not stop the others'
                _log.exception("site.not-rendered", site=name)
                problems[name] = f"The site's configuration could not be compiled: {error!r}."
        return texts, problems

    def _certificates(self) -> str:
        """Render which certificate each host name has; a site whose certificate cannot be made has the platform's."""
        files: dict[str, str] = {}
        for name, site in self._served.items():
            try:
                files = {host_name(host): path for host, path in site.certificates().items()} | files
            except (HomeportError, OSError, ValueError) as error:
                _log.error("site.without-certificate", site=name, reason=str(error))
        return render_certificates(files)

    async def _take_up(self) -> None:
        self._node.cgroups.remove_all()
        try:
            await remove_stale(self._node)
        except HomeportError as error:
            _log.error("previews.not-removed", reason=str(error))
        self._nginx.write_main()
        await asyncio.to_thread(refresh_workers, self.layout.runtimes, self.gallery)
        for stale in (self.layout.nginx / "sites").glob("*.conf"):
            self._dirty.add(stale.stem)
        state = read_state(self._desired_file)
        sites = []
        if isinstance(state, dict):
            self.revision = int(state.get("revision", 0))
            for value in state.get("sites", ()):
                try:
                    sites.append(desired_site_from_json(value))
                except HomeportError as error:
                    _log.error("site.not-remembered", reason=str(error))
        await self.apply(self.revision, sites)

    async def _tick_forever(self) -> None:
        """Look after the pools: where something changes soon at each turn, where requests wait at each quiet turn.

        The others take turns, so that two hundred sites that wait for visitors cost a busy one next to nothing.
        """
        round_at, share = 0.0, 0
        while True:
            everything = time.monotonic() - round_at >= _QUIET_TICK_SECONDS
            if everything:
                round_at, share = time.monotonic(), (share + 1) % _QUIET_SHARES
            sites = [*self._served.values()]
            pools = [
                pool for site in sites for pool in site.pools if pool.awake and (everything or pool.busy)
            ]
            waiting = readable(pool.waiting_fd for pool in pools)
            for number, pool in enumerate(pools):
                queued = pool.waiting_fd in waiting
                if queued or pool.busy or number % _QUIET_SHARES == share:
                    pool.tick(queued=queued)
            http_pools = self._tick_http_pools(sites, everything=everything)
            self._scheduling.look(self._nginx.processes())
            busy = any(pool.busy for pool in pools) or any(pool.busy for pool in http_pools)
            await asyncio.sleep(_BUSY_TICK_SECONDS if busy else _QUIET_TICK_SECONDS)

    def _tick_http_pools(self, sites: Iterable[HostedSite], *, everything: bool) -> list[HttpServerPool]:
        """Tick the httpPlatform pools that are awake; what nginx has to do with them is asked of the kernel once.

        Of a site that has no busy pool, only when `everything` is due.
        """
        due = [
            site
            for site in sites
            if any(pool.awake and (everything or pool.busy) for pool in site.http_pools.pools)
        ]
        if not due:
            return []
        try:
            connections = self._front.count()
        except HomeportError as error:
            _log.warning("front.not-seen", reason=error.message)
            connections = {}
        for site in due:
            site.http_pools.count_connections(connections)
        return [pool for site in due for pool in site.http_pools.pools if pool.awake]

    def _main_text(self, sites: Path) -> str:
        return render_main(
            MainConfig(
                sites_folder=str(sites),
                run_folder=str(self.layout.nginx),
                temporary_folder=str(self.layout.spool_view),
                user=_WEB_USER if os.geteuid() == 0 else None,
                addresses=self.options.addresses,
                http_port=self.options.http_port,
                certificates=Certificates(
                    port=self.options.https_port,
                    default=str(self.layout.certificates_view / self._platform_certificate.name),
                    names_file=str(self._nginx.certificates_file),
                ),
                scm=scm_sites(self.layout),
                domain=self.options.domain,
                request_log=str(self.layout.request_log),
            )
        )


def web_group() -> int | None:
    """Return the group of the nginx workers; None when we are not root and all run as one user."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_WEB_USER).pw_gid
    except KeyError:
        return grp.getgrnam("nogroup").gr_gid


async def _guarded(work: Coroutine[object, object, None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 — the boundary of one piece of one site's work: a bad site hurts no other
        _log.exception("work.failed")
