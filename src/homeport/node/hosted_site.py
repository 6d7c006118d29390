"""One site on this node: its folders, plan, pools, SCM app and network, brought in line with what is desired."""

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from homeport.model.errors import HomeportError, NotFound
from homeport.model.finding import Finding
from homeport.model.site import FTPS_DISABLED, DesiredSite, InstalledRuntime, SiteState
from homeport.node.access_logs import AccessLog
from homeport.node.allowance import Allowance
from homeport.node.answer_faults import AnswerFault, newest_fault, read_end
from homeport.node.certificates import LocalAuthority, SiteCertificates
from homeport.node.cgroups import Cgroups
from homeport.node.configuration_files import FILE_BYTES, read_file, read_web_configs
from homeport.node.control_plane import ControlPlane
from homeport.node.layout import NodeLayout
from homeport.node.listening import ListeningSocket
from homeport.node.log_files import LogFile, OutputPipe
from homeport.node.network import SiteNetwork
from homeport.node.nginx.server import SiteServer, render_site
from homeport.node.nginx.trace_header import trace_token
from homeport.node.options import PlatformOptions
from homeport.node.package_refresh import PackageRefresh, runs_from_address
from homeport.node.platform_view import CONTROL_SOCKET, TOOLS, base_mounts, platform_mounts, platform_program
from homeport.node.pools.decisions import PoolLimits
from homeport.node.pools.pool import Pool, PoolStatus, Spawn, StartWorker, WorkerStart
from homeport.node.pools.workers import LIBRARY, worker_config, worker_program
from homeport.node.processes import Process
from homeport.node.python_stacks import sandbox_stacks
from homeport.node.restart_patterns import RestartPatterns
from homeport.node.sandbox import Mount, Sandbox
from homeport.node.sandboxed import memory_file, start_sandboxed
from homeport.node.scm_applications import ScmApplications, render_applications
from homeport.node.site_actions import site_actions
from homeport.node.site_control import SiteControl
from homeport.node.site_environment import site_environment, with_reference, with_references
from homeport.node.site_home import prepare_site_home
from homeport.node.site_http_pools import SiteHttpPools, takes_web_sockets
from homeport.node.site_processes import SandboxRoot
from homeport.node.tenant_files import TenantTree
from homeport.node.watcher import ContentWatcher
from homeport.runtimes.gallery import Gallery
from homeport.webconfig import (
    ConfigurationTree,
    ContentFolder,
    FastCgiPool,
    HostingPlan,
    HttpPool,
    PoolKind,
    SiteFacts,
    compile_plan,
)
from homeport.webconfig.application_host import gather_transforms
from homeport.webconfig.detection import DETECTED, MOST_BYTES, STARTUP_SCRIPT, Detected, may_change, search
from homeport.webconfig.scm_site import gather_scm_transforms

if TYPE_CHECKING:
    from homeport.node.previews import HostedPreview, Previews

_log = structlog.get_logger(__name__)
_ALL_WEB_CONFIG_BYTES = 4 * 1024 * 1024
_SCM_POOL = "scm"
_FTP_POOL = "ftp"
_SCM_IDLE_SECONDS = 1200
_LONGEST_DEPLOYMENT_SECONDS = 3600.0
"""How long a replaced SCM app may go on with what it has in hand."""
_CLOSE_SECONDS = 3.0
_POSTPONE_SECONDS = 0.2
_MOST_POSTPONED = 5000
_RELOAD_BURST = 10
_RELOAD_SECONDS = 6.0
_IN_FORCE_SECONDS = 20.0
_DEPLOYMENT_LOCK = "deployments.lock"
_MOST_INSTANCES = 120
_NEVER = 10.0**9
_EMPTY_PLAN = HostingPlan(rules=(), pools=(), findings=())
_ONE_PROCESS = PoolLimits(
    max_instances=1,
    idle_timeout_seconds=_NEVER,
    activity_timeout_seconds=_NEVER,
    request_timeout_seconds=_NEVER,
    startup_seconds=60,
    stop_seconds=10,
    processors=1,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What every site of the node shares."""

    layout: NodeLayout
    options: PlatformOptions
    cgroups: Cgroups
    seccomp: bytes
    authority: LocalAuthority
    watcher: ContentWatcher
    spawn: Spawn
    instance: str
    web_group: int | None
    gallery: Gallery
    control_plane: ControlPlane
    previews: "Previews"
    refreshing: asyncio.Semaphore
    """How many sites fetch the package that they run from at the same time."""


class HostedSite:
    """A site that this node hosts.

    `changed` is called when the site's nginx text may differ; the agent then collects `nginx_text`. `number` gives its
    address in nginx's network (None: the uid).
    """

    def __init__(
        self, node: Node, desired: DesiredSite, *, changed: Callable[[], None], number: int | None = None
    ) -> None:
        self._node = node
        self.desired = desired
        self._changed = changed
        self._tree = TenantTree(node.layout.home(desired.name))
        self._content = TenantTree(node.layout.home(desired.name), within="site/wwwroot")
        self._network = SiteNetwork(node.layout.namespaces / desired.name)
        self._processes = 0
        self._sandboxes: dict[int, Process] = {}
        self._control = SiteControl(
            node.layout.site_control / f"{desired.name}.sock",
            owner=desired.uid if os.geteuid() == 0 else None,
            actions=site_actions(self),
            spawn=node.spawn,
        )
        self._pools: dict[str, Pool] = {}
        self.http_pools = SiteHttpPools(
            desired.uid if number is None else number,
            network=self._network if os.geteuid() == 0 else None,
            front=node.layout.front,
            activator=node.layout.activator_socket,
            tree=self._tree,
            launch=self._start_http,
            stacks=self._python_stacks,
            open_log=self._log_file,
            spawn=node.spawn,
        )
        self._scm: Pool | None = None
        self._package = PackageRefresh(desired.name, self._socket_path(_SCM_POOL), turn=node.refreshing)
        self._ftp: Pool | None = None
        self._applications = ScmApplications(
            desired.name,
            node.layout.home(desired.name),
            node.watcher,
            changed=self._application_changed,
        )
        self._changed_applications: dict[str, frozenset[str]] = {}
        self._restart_patterns = RestartPatterns()
        self._reloads = Allowance(burst=_RELOAD_BURST, seconds_each=_RELOAD_SECONDS)
        self._followed = Allowance(burst=_RELOAD_BURST, seconds_each=_RELOAD_SECONDS)
        self._in_force = asyncio.Event()
        self._postponed: set[str] = set()
        self._postponement: asyncio.TimerHandle | None = None
        self._access_log = AccessLog(
            self._tree,
            desired.name,
            instance=node.instance,
            owner=desired.uid if os.geteuid() == 0 else None,
        )
        self._certificates = SiteCertificates(
            node.authority, domain=node.options.domain, view=node.layout.certificates_view
        )
        self.plan = _EMPTY_PLAN
        self.reason = ""

    @property
    def gallery(self) -> Gallery:
        """The Pythons that can be had on this node."""
        return self._node.gallery

    @property
    def control_plane(self) -> ControlPlane:
        """Where the site's Pythons are remembered."""
        return self._node.control_plane

    @property
    def pools(self) -> list[Pool]:
        """Every pool, those of the SCM app and of FTP included."""
        return [*self._pools.values(), *(pool for pool in (self._scm, self._ftp) if pool is not None)]

    @property
    def previews(self) -> "Sequence[HostedPreview]":
        """The previews of this site, the oldest first."""
        return self._node.previews.of_site(self.desired.name)

    async def start_preview(self, deployment: str) -> dict[str, object]:
        """Serve what the SCM app prepared as the preview of a deployment (see `previews`)."""
        return await self._node.previews.start(self._node, self.desired, deployment)

    async def end_preview(self, deployment: str) -> None:
        """End the preview of a deployment. Raises `NotFound`."""
        await self._node.previews.end(self._node, self.desired.name, deployment)

    def start(self) -> None:
        """Make the folders, begin to watch the content, bring the plan into force."""
        self._prepare()
        self._node.watcher.watch(self.desired.name, self._content, self._content_changed)
        self._control.open()
        self._open_scm()
        self._bring_ftp()
        self.replan("the site was started")
        self.refresh_package()

    def update(self, desired: DesiredSite) -> None:
        """Take a new desired state over; processes are replaced when what they are started with differs."""
        before, self.desired = self.desired, desired
        self._prepare()
        if before.limits != desired.limits:
            self._node.cgroups.create(desired.name, desired.limits)
        self._bring_ftp()
        inputs = (before.app_settings, before.runtimes, before.hostnames)
        self.replan("the site's settings changed")
        if inputs != (desired.app_settings, desired.runtimes, desired.hostnames):
            self.recycle("the site's settings changed")
            self.refresh_package()
        elif before.state != desired.state:
            self.refresh_package()

    async def in_force(self) -> None:
        """Return once nginx serves by the plan, at the latest after some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IN_FORCE_SECONDS):
                await self._in_force.wait()

    def refresh_package(self) -> None:
        """Have the package fetched that the site runs from, where its settings name an address."""
        if self._runs and runs_from_address(self.desired.app_settings):
            self._node.spawn(self._package.run())

    def recycle(self, reason: str) -> None:
        """Replace every process of the site without losing a request."""
        for pool in self.pools:
            if pool is not self._ftp:  # its sessions depend on nothing that changes
                pool.recycle(reason)
        self.http_pools.recycle(reason)

    def recycle_workers(self, reason: str) -> None:
        """Replace the processes that serve visitors, without losing a request; applicationHost.xdt is read again."""
        self.replan(reason)
        for pool in self._pools.values():
            pool.recycle(reason)
        self.http_pools.recycle(reason)

    def recycle_scm(self, reason: str) -> None:
        """Replace the SCM app: a new one takes the next request, the old one ends what it has in hand."""
        if self._scm is not None:
            self._scm.recycle(reason)

    def sandboxes(self) -> list[SandboxRoot]:
        """Return the sandboxes that run now."""
        pools = {pid: status.id for status in self._statuses() for pid, _ in status.processes}
        kinds = {pid: _kind(pool_id) for pid, pool_id in pools.items()}
        return [
            SandboxRoot(pid, kinds.get(pid, "other"), pools.get(pid, "")) for pid in sorted(self._sandboxes)
        ]

    async def _python_stacks(self, process: Process) -> str:
        uid = self.desired.uid if os.geteuid() == 0 else None
        root = SandboxRoot(process.pid, "worker")
        return await sandbox_stacks(root, uid=uid, cgroup_procs=self.cgroup_procs())

    async def ended(self, sandboxes: Collection[int]) -> None:
        """Return once none of these sandboxes, named by their outermost process, runs any more."""
        await asyncio.gather(*(self._sandboxes[pid].wait() for pid in sandboxes if pid in self._sandboxes))

    def cgroup_procs(self) -> tuple[Path, ...]:
        """Return the files that put a process under the site's limits."""
        return self._node.cgroups.create(self.desired.name, self.desired.limits)

    def replan(self, reason: str) -> frozenset[str]:
        """Compile the configuration anew, bring the pools in line, tell the agent if nginx must know.

        Returns the pools whose processes are replaced.
        """
        recycled = set()
        before = self._started_with()
        known = self.plan, self._applications.all
        tree, facts = self._configuration(), self._facts()
        plan = compile_plan(tree, facts)
        findings = self._applications.compile(tree.scm_transforms, facts)
        self.plan = dataclasses.replace(plan, findings=tuple(dict.fromkeys((*plan.findings, *findings))))
        if known != (self.plan, self._applications.all):
            self._in_force.clear()
            self._changed()
        now = self._started_with()
        for pool in self._wanted():
            if pool.id not in self._pools:
                self._pools[pool.id] = self._make_pool(pool)
            elif now[pool.id] != before.get(pool.id):
                self._pools[pool.id].reconfigure(pool_limits(pool), backlog=pool.queue_length)
                self._pools[pool.id].recycle(reason)
                recycled.add(pool.id)
        self.http_pools.bring(self._wanted_http(), reason=reason)
        return frozenset(recycled)

    def _started_with(self) -> dict[str, tuple[FastCgiPool, tuple[tuple[str, str], ...]]]:
        """Give what the processes of each FastCGI pool are started with."""
        return {pool.id: (pool, plan.connection_strings) for plan in self._plans for pool in plan.pools}

    async def follow_content(self) -> None:
        """Bring what lies there now into force, during a deployment too; return once visitors get it.

        It comes into force anyway, a little later; this is for who must know when. Those who ask often wait.
        """
        await asyncio.sleep(self._followed.take())
        await self._node.watcher.catch_up(self.desired.name)
        paths, self._postponed = frozenset(self._postponed), set()
        recycled = self.replan("its content or an extension changed")
        self._replace_processes(paths, recycled)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IN_FORCE_SECONDS):
                await self._in_force.wait()
                await self.renewed()

    async def renewed(self) -> None:
        """Return once no request of a visitor reaches a process older than the last recycling."""
        await asyncio.gather(
            *(pool.renewed() for pool in self._pools.values()),
            *(pool.renewed() for pool in self.http_pools.pools),
        )

    def retire_pools(self) -> None:
        """Close the pools that the plan no longer has; called once nginx serves by the plan."""
        self._in_force.set()
        self.http_pools.retire(self._wanted_http())
        if self._processes == 0 and self._network.is_up:
            self._node.spawn(self._rest())
        for pool_id in self._pools.keys() - {pool.id for pool in self._wanted()}:
            pool = self._pools.pop(pool_id)
            self._node.spawn(pool.close(seconds=_CLOSE_SECONDS, reason="it is no longer configured"))

    async def close(self) -> None:
        """End every process of the site and let go of everything but its files."""
        if self._postponement is not None:
            self._postponement.cancel()
        self._node.watcher.unwatch(self.desired.name)
        self._applications.close()
        self._control.close()
        await asyncio.gather(
            *(pool.close(seconds=_CLOSE_SECONDS, reason="the site is being closed") for pool in self.pools),
            self.http_pools.close(),
        )
        self._pools, self._scm, self._ftp = {}, None, None
        await self._network.down()
        self._node.cgroups.remove(self.desired.name)

    def nginx_text(self) -> str:
        """Return the site's part of the nginx configuration."""
        node, site = self._node, self.desired
        server = SiteServer(
            name=site.name,
            hostnames=site.hostnames,
            running=self._runs,
            plan=self.plan,
            sockets={pool.id: str(self._socket_path(pool.id)) for plan in self._plans for pool in plan.pools},
            content_root=str(node.layout.content / site.name / "home/site/wwwroot"),
            addresses=node.options.addresses,
            http_port=node.options.http_port,
            https_port=node.options.https_port,
            request_body_bytes=site.limits.request_body_bytes,
            entrances=self.http_pools.entrances(
                (pool for plan in self._plans for pool in plan.http_pools),
                web_sockets=takes_web_sockets(site.app_settings),
            ),
            links_are_refused=node.options.mounts_refuse_links,
            request_log=str(node.layout.request_log) if site.config.http_logging else None,
            https_only=site.config.https_only,
            minimum_tls=site.config.minimum_tls,
            trace_token=trace_token(site.app_settings),
            preview_token=self._preview_token,
        )
        return render_site(server) + render_applications(
            server, self._applications.all, layout=node.layout, domain=node.options.domain
        )

    def certificates(self) -> dict[str, str]:
        """Return the certificate's file for each host name that the platform's own certificate does not cover."""
        return self._certificates.files(self.desired)

    def renew_certificate(self) -> None:
        """Replace the site's certificate if it ends soon; nginx shows the new one without being told."""
        self._certificates.renew(self.desired.name)

    @property
    def name(self) -> str:
        """The site's name."""
        return self.desired.name

    def log_requests(self, lines: Sequence[Sequence[str]]) -> None:
        """Write requests into the site's access log, if it keeps one."""
        if self.desired.config.http_logging:
            self._access_log.append(lines, self.desired.config)

    def tidy_access_log(self) -> None:
        """Remove access logs that are older than the site keeps them."""
        self._access_log.tidy(self.desired.config)

    def observed(self) -> dict[str, object]:
        """Return what an owner may know of the site's state here, as JSON values."""
        statuses = self._statuses()
        applications = self._applications.paths()
        return {
            "ready": not any(status.state in ("broken", "failed") for status in statuses),
            "problem": self.reason,
            "processes": [
                {
                    "pid": pid,
                    "state": state,
                    "kind": _kind(status.id),
                    "pool": status.id,
                }
                for status in statuses
                for pid, state in status.processes
            ],
            "pools": [
                {
                    "id": status.id,
                    "application": applications.get(status.id, ""),
                    "state": status.state,
                    "reason": status.reason,
                    "requests": status.requests,
                    "port_never_opened": status.port_never_opened and asdict(status.port_never_opened),
                }
                for status in statuses
                if _kind(status.id) == "worker"
            ],
            "findings": [_finding_to_json(finding) for finding in self.plan.findings],
        }

    def memory_kills(self) -> int:
        """Count the processes that the kernel killed at the site's memory limit."""
        return self._node.cgroups.memory_kills(self.desired.name)

    def newest_answer_fault(self) -> AnswerFault | None:
        """Find what nginx last found wrong with an answer of the site's own web server."""
        log = read_end(self._node.layout.nginx_log)
        return newest_fault(log, server=self.desired.hostnames[0], now=datetime.now(UTC))

    async def run_in_sandbox(
        self,
        program: Sequence[str],
        *,
        mounts: Sequence[Mount],
        stdin: int,
        output: int,
        environment: Mapping[str, str],
    ) -> Process:
        """Run a program of the platform as the site's user, without a pool (installing a runtime, say)."""
        return await self._launch(
            tuple(program),
            environment=environment,
            mounts=(*self._own_mounts(), *mounts),
            stdin=stdin,
            output=output,
            inherited=(),
        )

    _preview_token = ""
    _has_scm = True

    def _own_mounts(self) -> tuple[Mount, ...]:
        """What every sandbox of it shows besides its home."""
        return ()

    @property
    def _known(self) -> DesiredSite:
        """The site as its processes know it."""
        return self.desired

    def _prepare(self) -> None:
        """Make what is missing of the site's folders."""
        prepare_site_home(self._node.layout, self.desired, web_group=self._node.web_group)

    @property
    def _runs(self) -> bool:
        return self.desired.state is SiteState.RUNNING

    def _statuses(self) -> list[PoolStatus]:
        return [*(pool.status() for pool in self.pools), *self.http_pools.statuses()]

    @property
    def _plans(self) -> tuple[HostingPlan, ...]:
        """The site's own plan, and those of the applications below its SCM site, which a stopped site has, too."""
        return (self.plan, *self._applications.plans)

    @property
    def _wanted_plans(self) -> tuple[HostingPlan, ...]:
        return self._plans if self._runs else self._applications.plans

    def _wanted_http(self) -> tuple[HttpPool, ...]:
        return tuple(pool for plan in self._wanted_plans for pool in plan.http_pools)

    def _wanted(self) -> tuple[FastCgiPool, ...]:
        return tuple(pool for plan in self._wanted_plans for pool in plan.pools)

    def _configuration(self) -> ConfigurationTree:
        """Read the web.config files, no more of them than are compiled and no more bytes than one site may cost."""
        folders = self._node.watcher.folders(self.desired.name)
        read = partial(read_file, self._tree, limit=FILE_BYTES)
        settings = self.desired.app_settings
        return ConfigurationTree(
            files=read_web_configs(self._content, folders, most_bytes=_ALL_WEB_CONFIG_BYTES),
            host_transforms=gather_transforms(self._tree.names, read, settings),
            scm_transforms=gather_scm_transforms(self._tree.names, read, settings) if self._has_scm else (),
        )

    def _facts(self) -> SiteFacts:
        return SiteFacts(
            site=self.desired.name,
            runtimes=self.desired.runtimes,
            app_settings=self.desired.app_settings,
            list_folder=self._list_folder,
            detect=self._detect,
        )

    def _detect(self) -> Detected | None:
        """Look for an application in the content; reading follows no link."""
        return search(
            self._content.names,
            partial(read_file, self._content, limit=MOST_BYTES),
            self.desired.app_settings,
            has_script=self._tree.is_file(STARTUP_SCRIPT),
        )

    def _list_folder(self, path: str) -> list[str] | None:
        """List a folder as the sandbox names it; only /home is looked into."""
        if path == "/":
            return ["home"]
        return self._tree.names(path.removeprefix("/home")) if path.split("/")[1] == "home" else None

    def _content_changed(self, paths: frozenset[str]) -> None:
        if self._deploying():
            self._postpone(paths)
            return
        paths |= self._postponed
        self._postponed = set()
        recycled: frozenset[str] = frozenset()
        if any(self._may_change_plan(path) for path in paths):
            wait = self._reloads.take()
            if wait > 0:
                self._postpone(paths, seconds=wait)
                return
            recycled = self.replan("the content changed")
        self._replace_processes(paths, recycled)

    def _replace_processes(self, paths: frozenset[str], recycled: frozenset[str]) -> None:
        self._recycle_changed(self.plan, paths, recycled)
        self.http_pools.content_changed(paths)

    def _recycle_changed(self, plan: HostingPlan, paths: frozenset[str], recycled: frozenset[str]) -> None:
        for pool in plan.pools:
            changed = self._restart_patterns.first_match(pool.restart_regex, sorted(paths))
            if changed is None and pool.monitored_file:
                monitored = pool.monitored_file.lower()
                changed = next((path for path in paths if path.lower() == monitored), None)
            if changed is not None and pool.id in self._pools and pool.id not in recycled:
                self._pools[pool.id].recycle(f"{changed} changed")

    def _application_changed(self, path: str, paths: frozenset[str]) -> None:
        """Take changed files of an application below the SCM site into account, now or a little later."""
        if path in self._changed_applications:
            known = self._changed_applications[path] | paths
            self._changed_applications[path] = frozenset(sorted(known)[:_MOST_POSTPONED])
            return
        if not self._applications.watches(path):
            return
        recycled: frozenset[str] = frozenset()
        if any(name.rpartition("/")[2].lower() == "web.config" for name in paths):
            wait = self._reloads.take()
            if wait > 0:
                self._changed_applications[path] = paths
                asyncio.get_running_loop().call_later(wait, self._application_changed_before, path)
                return
            recycled = self.replan("the content of an extension changed")
        plan = self._applications.plan_of(path)
        if plan is not None:
            self._recycle_changed(plan, paths, recycled)
            self.http_pools.content_changed(paths, mounted_at=path)

    def _application_changed_before(self, path: str) -> None:
        self._application_changed(path, self._changed_applications.pop(path))

    def _may_change_plan(self, path: str) -> bool:
        if path.rpartition("/")[2].lower() == "web.config":
            return True
        nothing_runs = not self.plan.pools and not self.plan.http_pools
        return may_change(path) and (
            nothing_runs or any(finding.code == DETECTED for finding in self.plan.findings)
        )

    def _postpone(self, paths: frozenset[str], *, seconds: float = _POSTPONE_SECONDS) -> None:
        """Look again later: workers started from a half-copied deployment would fail, and reloads cost everybody."""
        self._postponed = set(sorted(self._postponed | paths)[:_MOST_POSTPONED])
        if self._postponement is not None:
            self._postponement.cancel()
        loop = asyncio.get_running_loop()
        self._postponement = loop.call_later(seconds, self._content_changed, frozenset[str]())

    def _deploying(self) -> bool:
        try:
            with self._tree.folder("site/locks") as folder:
                lock = os.open(_DEPLOYMENT_LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except (HomeportError, OSError):
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def _socket_path(self, pool_id: str) -> Path:
        return self._node.layout.sockets / f"{self.desired.name}.{pool_id}.sock"

    def _make_pool(self, plan: FastCgiPool) -> Pool:
        limits = pool_limits(plan)
        pool = Pool(
            plan.id,
            listening=ListeningSocket(
                self._socket_path(plan.id), backlog=plan.queue_length, group=self._node.web_group
            ),
            limits=limits,
            rapid_fails=plan.rapid_fails_per_minute,
            reports_state=plan.kind is PoolKind.WSGI,
            start_worker=lambda start: self._start_worker(plan.id, start),
            output=self._output(f"LogFiles/Application/{plan.id}.log"),
            spawn=self._node.spawn,
        )
        pool.open()
        return pool

    def _open_scm(self) -> None:
        path = self._socket_path(_SCM_POOL)
        self._scm = self._open_own(
            _SCM_POOL,
            path,
            backlog=256,
            start=self._start_scm,
            limits=dataclasses.replace(_ONE_PROCESS, stop_seconds=_LONGEST_DEPLOYMENT_SECONDS),
            leave=signal.SIGUSR2,
        )

    def _bring_ftp(self) -> None:
        """Open the way for FTP where platform and site want it; closing it ends the sessions."""
        wanted = self._node.options.serves_ftp and self.desired.config.ftps_state != FTPS_DISABLED
        if wanted and self._ftp is None:
            path = self._node.layout.ftp_sockets / f"{self.desired.name}.sock"
            self._ftp = self._open_own(_FTP_POOL, path, backlog=64, start=self._start_ftp)
        elif not wanted and self._ftp is not None:
            self._node.spawn(self._ftp.close(seconds=_CLOSE_SECONDS, reason="FTP is switched off"))
            self._ftp = None

    def _open_own(
        self,
        name: str,
        path: Path,
        *,
        backlog: int,
        start: StartWorker,
        limits: PoolLimits = _ONE_PROCESS,
        leave: signal.Signals | None = None,
    ) -> Pool:
        """Open the pool of a program of ours: one process, started when somebody connects."""
        pool = Pool(
            name,
            listening=ListeningSocket(path, backlog=backlog, group=self._node.web_group),
            limits=limits,
            rapid_fails=10,
            reports_state=False,
            start_worker=start,
            output=self._output(f"LogFiles/kudu/{name}.log"),
            spawn=self._node.spawn,
            leave=leave,
        )
        pool.open()
        return pool

    def _log_file(self, path: str) -> LogFile:
        return LogFile(self._tree, path, owner=self.desired.uid if os.geteuid() == 0 else None)

    def _output(self, path: str) -> OutputPipe:
        return OutputPipe(self._log_file(path))

    async def _start_http(
        self,
        program: tuple[str, ...],
        *,
        runtime: str | None,
        content: ContentFolder,
        variables: Mapping[str, str],
        output: int,
    ) -> Process:
        site = self._environment(content, runtime=runtime)
        environment = self._strings(content) | site | with_references(variables, site)
        return await self._launch(
            tuple(with_reference(word, site) for word in program),
            # On Windows a variable without a value is none.
            environment={name: value for name, value in environment.items() if value},
            mounts=self._runtime_mounts(),
            stdin=None,
            output=output,
            inherited=(),
            directory=content.path,
        )

    def _environment(self, content: ContentFolder, *, runtime: str | None) -> dict[str, str]:
        """Give what a process of an application has in its environment."""
        return site_environment(
            self._known,
            instance=self._node.instance,
            runtime=runtime,
            scm=bool(content.mounted_at),
            list_folder=self._list_folder,
        )

    def _strings(self, content: ContentFolder) -> dict[str, str]:
        """Give the connection strings of an application."""
        plan = self._applications.plan_of(content.mounted_at) if content.mounted_at else self.plan
        return dict(plan.connection_strings) if plan else {}

    async def _start_worker(self, pool_id: str, start: WorkerStart) -> Process:
        plan = next((pool for each in self._plans for pool in each.pools if pool.id == pool_id), None)
        if plan is None:
            raise NotFound(f"Pool '{pool_id}' is no longer configured.")
        runtime = self._runtime(plan)
        site = self._environment(plan.content, runtime=plan.python_folder if runtime else None)
        variables = with_references(dict(plan.environment_variables), site)
        environment = self._strings(plan.content) | site | variables
        if start.scoreboard_fd is None or runtime is None:
            return await self._launch(
                plan.program,
                environment=environment,
                mounts=self._runtime_mounts(),
                stdin=start.listening_fd,
                output=start.output_fd,
                inherited=(),
                directory=plan.content.path,
            )
        config = worker_config(self._known, plan, instance=self._node.instance, replacing=start.replacing)
        library = self._node.layout.runtimes / runtime.build / "worker"
        with memory_file(config) as config_fd:
            private = {
                "HOMEPORT_WORKER_CONFIG": str(config_fd),
                "HOMEPORT_SCOREBOARD": f"{start.scoreboard_fd}:{start.slot}",
            }
            if start.shared_fds is not None:
                private["HOMEPORT_CONNECTIONS"] = ":".join(map(str, start.shared_fds))
            return await self._launch(
                worker_program(plan),
                environment=environment | private,
                mounts=(*self._runtime_mounts(), Mount(source=library, target=LIBRARY)),
                stdin=start.listening_fd,
                output=start.output_fd,
                inherited=(config_fd, start.scoreboard_fd, *(start.shared_fds or ())),
                directory=plan.content.path,
            )

    async def _start_scm(self, start: WorkerStart) -> Process:
        environment = site_environment(
            self.desired, instance=self._node.instance, runtime=None, scm=True, windows_paths=True
        )
        environment |= {
            "HOMEPORT_SCM_IDLE_SECONDS": str(_SCM_IDLE_SECONDS),
            "HOMEPORT_SCM_CONTROL": CONTROL_SOCKET,
            "PYTHONUNBUFFERED": "1",
        }
        environment["PATH"] = f"{TOOLS}:{environment['PATH']}"
        return await self._launch(
            platform_program("homeport.scm"),
            environment=environment,
            mounts=(
                *self._runtime_mounts(),
                *platform_mounts(),
                Mount(source=self._control.path, target=CONTROL_SOCKET),
            ),
            stdin=start.listening_fd,
            output=start.output_fd,
            inherited=(),
            local="local/ScmTemp",
        )

    async def _start_ftp(self, start: WorkerStart) -> Process:
        return await self._launch(
            platform_program("homeport.ftp.site"),
            environment={"HOME": "/home", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "TZ": "UTC"},
            mounts=(*self._runtime_mounts(), *platform_mounts()),
            stdin=start.listening_fd,
            output=start.output_fd,
            inherited=(),
            directory="/home",
        )

    async def _launch(
        self,
        program: tuple[str, ...],
        *,
        environment: Mapping[str, str],
        mounts: tuple[Mount, ...],
        stdin: int | None,
        output: int,
        inherited: tuple[int, ...],
        local: str = "local",
        directory: str = "/home/site/wwwroot",
    ) -> Process:
        root = os.geteuid() == 0
        self._processes += (
            1  # before the first await: the network must not go down under a process being started
        )
        try:
            if root:
                await self._network.up()
            folder = self._node.layout.site(self.desired.name)
            process = start_sandboxed(
                Sandbox(
                    hostname=self.desired.name,
                    uid=self.desired.uid if root else None,
                    home=folder / "home",
                    local=folder / local,
                    etc=folder / "etc",
                    mounts=mounts,
                    cgroup_procs=self.cgroup_procs(),
                    network=self._network.mount_point if root else None,
                    directory=directory,
                ),
                program,
                environment=environment,
                seccomp=self._node.seccomp,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                output=output,
                inherited=inherited,
            )
        except BaseException:
            self._process_ended(-1)
            raise
        pid = process.pid
        self._sandboxes[pid] = process
        process.when_exited(lambda _: self._sandboxes.__delitem__(pid))
        process.when_exited(self._process_ended)
        return process

    def _process_ended(self, _code: int) -> None:
        self._processes -= 1
        if self._processes == 0:
            self._node.spawn(self._rest())

    async def _rest(self) -> None:
        """A site without a process keeps none of ours either; the way from nginx into its network stays."""
        if self._processes:
            return
        # What is inside a sandbox follows its outermost process by itself, but not in the first moments of its life.
        self._node.cgroups.kill(self.desired.name)
        if self.http_pools.pools:
            await self._network.rest()
            return
        self.http_pools.network_down()
        await self._network.down()

    def _runtime(self, plan: FastCgiPool) -> InstalledRuntime | None:
        return next(
            (runtime for runtime in self.desired.runtimes if runtime.folder == plan.runtime_folder), None
        )

    def _runtime_mounts(self) -> tuple[Mount, ...]:
        return (*base_mounts({runtime.base for runtime in self.desired.runtimes}), *self._own_mounts())


def pool_limits(plan: FastCgiPool) -> PoolLimits:
    """Turn a pool's settings into the limits that its decisions go by; 0 instances means as many as make sense here."""
    processors = os.cpu_count() or 1
    return PoolLimits(
        max_instances=min(plan.max_instances or max(4, 4 * processors), _MOST_INSTANCES),
        idle_timeout_seconds=plan.idle_timeout_seconds,
        activity_timeout_seconds=plan.activity_timeout_seconds,
        request_timeout_seconds=plan.request_timeout_seconds,
        startup_seconds=plan.request_timeout_seconds,
        stop_seconds=max(plan.request_timeout_seconds, plan.signal_before_terminate_seconds),
        processors=processors,
        max_requests=plan.instance_max_requests,
    )


def _kind(pool_id: str) -> str:
    return pool_id if pool_id in (_SCM_POOL, _FTP_POOL) else "worker"


def _finding_to_json(finding: Finding) -> dict[str, object]:
    return dataclasses.asdict(finding)
