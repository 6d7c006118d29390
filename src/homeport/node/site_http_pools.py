"""The httpPlatform pools of one site: from its plan to pools that run, and how nginx reaches them."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from homeport.model.errors import NotFound
from homeport.node.front_network import SiteEntrance, entrance_ports, site_address
from homeport.node.log_files import LogFile
from homeport.node.network import SiteNetwork
from homeport.node.nginx.http_pools import HttpEntrances
from homeport.node.pools.http_decisions import HttpPoolLimits
from homeport.node.pools.http_pool import HttpServerPool, choose_from, chosen_by_the_site
from homeport.node.pools.pool import PoolStatus, Spawn
from homeport.node.processes import Process
from homeport.node.tcp_diagnostics import TcpDiagnostics, TcpSocket
from homeport.node.tenant_files import TenantTree
from homeport.webconfig import ContentFolder, HttpPool
from homeport.webconfig.sections.http_platform import PORT_VARIABLE

_PORT = re.compile(f"%{PORT_VARIABLE}%", re.IGNORECASE)
WEB_SOCKETS_SETTING = "WEBSITE_WEBSOCKETS_ENABLED"
"""The app setting that switches WebSockets off for a whole site."""
_CLOSE_SECONDS = 3.0
_LONGEST_DRAIN_SECONDS = 90
_OFFLINE = "app_offline.htm"
_OFFLINE_BYTES = 1024 * 1024
_SHARED_PORTS = range(20_000, 48_000)


class Launch(Protocol):
    """Starts a program of a pool in the site's sandbox."""

    def __call__(
        self,
        program: tuple[str, ...],
        *,
        runtime: str | None,
        content: ContentFolder,
        variables: Mapping[str, str],
        output: int,
    ) -> Awaitable[Process]:
        """Start it in the content folder; `variables` are added to the site's environment, one with an empty value is taken away."""


Stacks = Callable[[Process], Awaitable[str]]
"""Gives the Python stacks of a process and of those below it."""


class SiteHttpPools:
    """All httpPlatform pools of one site.

    As root the site has a network of its own, which `entrance` connects with nginx's; `number` (a site's uid) gives the
    address that nginx finds it at. Otherwise processes and nginx share the machine's: then each pool has a fixed set of
    ports, and nginx tries them in turn.
    """

    def __init__(
        self,
        number: int,
        *,
        network: SiteNetwork | None,
        front: Path,
        activator: Path,
        tree: TenantTree,
        launch: Launch,
        stacks: Stacks,
        open_log: Callable[[str], LogFile],
        spawn: Spawn,
    ) -> None:
        self._network = network
        self._entrance = None if network is None else SiteEntrance(front, network.mount_point, uid=number)
        self._address = site_address(number)
        self._activator = activator
        self._tree = tree
        self._launch = launch
        self._stacks = stacks
        self._open_log = open_log
        self._spawn = spawn
        self._plans: dict[str, HttpPool] = {}
        self._pools: dict[str, HttpServerPool] = {}
        self._shared_ports: dict[str, tuple[int, ...]] = {}
        self._network_age = -1
        self._looked_age = -1
        self._opening = asyncio.Lock()
        self._diagnostics: TcpDiagnostics | None = None

    @property
    def pools(self) -> list[HttpServerPool]:
        """Every pool that there is."""
        return list(self._pools.values())

    def pool(self, pool_id: str) -> HttpServerPool:
        """Return a pool. Raises `NotFound`."""
        try:
            return self._pools[pool_id]
        except KeyError:
            raise NotFound(f"There is no pool '{pool_id}'.") from None

    def recycle(self, reason: str) -> None:
        """Replace every process by a new one, without losing a request."""
        for pool in self._pools.values():
            pool.recycle(reason)

    def statuses(self) -> list[PoolStatus]:
        """Tell an owner how the pools are."""
        return [pool.status() for pool in self._pools.values()]

    def entrances(self, pools: Iterable[HttpPool], *, web_sockets: bool = True) -> HttpEntrances:
        """Say how nginx reaches these pools; `web_sockets` False: no WebSocket is taken."""
        pools = tuple(pools)
        if self._entrance is not None:
            ports = entrance_ports(pool.id for pool in pools)
            servers: dict[str, tuple[str, ...]] = {
                pool: (f"{self._address}:{port}",) for pool, port in ports.items()
            }
        else:
            servers = {pool.id: tuple(f"127.0.0.1:{port}" for port in self._ports_of(pool)) for pool in pools}
        return HttpEntrances(servers=servers, activator=str(self._activator), web_sockets=web_sockets)

    def bring(self, wanted: Iterable[HttpPool], *, reason: str) -> None:
        """Make the pools that are new, and give the others what changed of their plan."""
        for plan in wanted:
            before = self._plans.get(plan.id)
            self._plans[plan.id] = plan
            if plan.id not in self._pools:
                self._pools[plan.id] = self._make(plan)
                self._pools[plan.id].set_offline(self._is_offline(plan))
            elif before != plan:
                pool = self._pools[plan.id]
                pool.reconfigure(
                    _limits(plan),
                    startup_retries=plan.startup_retries,
                    rapid_fails=plan.rapid_fails_per_minute,
                    stdout_log=plan.stdout_log,
                )
                pool.recycle(reason)

    def retire(self, wanted: Iterable[HttpPool]) -> None:
        """Close the pools that are no longer wanted, once nginx does not send them requests."""
        kept = {plan.id for plan in wanted}
        for pool_id in self._pools.keys() - kept:
            pool = self._pools.pop(pool_id)
            self._spawn(pool.close(seconds=_CLOSE_SECONDS, reason="it is no longer configured"))

    def content_changed(self, paths: Iterable[str], *, mounted_at: str = "") -> None:
        """Take changed files (relative to the content folder that is mounted there) into account."""
        lowered = {path.lower() for path in paths}
        for pool_id, pool in self._pools.items():
            if self._plans[pool_id].content.mounted_at != mounted_at:
                continue
            if _OFFLINE in lowered:
                pool.set_offline(self._is_offline(self._plans[pool_id]))
            watched = {path.lower(): path for path in ("web.config", *self._plans[pool_id].recycle_files)}
            changed = sorted(watched[path] for path in lowered & watched.keys())
            if changed:
                pool.recycle(f"{changed[0]} changed")

    def offline_page(self, pool_id: str) -> bytes:
        """Return what the app_offline.htm of a pool holds, empty when it cannot be read."""
        plan = self._plans[pool_id]
        name = self._offline_name(plan)
        return b"" if name is None else self._tree.read(f"{_folder(plan)}/{name}", limit=_OFFLINE_BYTES)

    def count_connections(self, connections: Mapping[tuple[bytes, int], int]) -> None:
        """Tick every pool; `connections` are nginx's, by the address and port that they lead to."""
        entrances = self.entrances(self._plans[pool_id] for pool_id in self._pools)
        for pool_id, pool in self._pools.items():
            if pool.awake:
                pool.tick(
                    connections=sum(connections.get(_key(server), 0) for server in entrances.servers[pool_id])
                )

    async def close(self) -> None:
        """End every process."""
        await asyncio.gather(
            *(
                pool.close(seconds=_CLOSE_SECONDS, reason="the site is being closed")
                for pool in self._pools.values()
            )
        )
        self._pools = {}
        self.network_down()

    def network_down(self) -> None:
        """Let go of the network, which would live on while it is looked into."""
        if self._diagnostics is not None:
            self._diagnostics.close()
            self._diagnostics = None

    def _make(self, plan: HttpPool) -> HttpServerPool:
        return HttpServerPool(
            plan.id,
            host=_Host(self, plan.id),
            limits=_limits(plan),
            startup_retries=plan.startup_retries,
            rapid_fails=plan.rapid_fails_per_minute,
            stdout_log=plan.stdout_log,
            log=self._open_log(f"LogFiles/Application/{plan.id}.log"),
            spawn=self._spawn,
        )

    async def _start(self, pool_id: str, port: int, output: int) -> Process:
        plan = self._plans[pool_id]
        variables = {
            "PYTHONUNBUFFERED": "1",
            PORT_VARIABLE: str(port),
            **{name: _with_port(value, port) for name, value in plan.environment_variables},
        }
        return await self._launch(
            tuple(_with_port(word, port) for word in plan.program),
            runtime=plan.python_folder,
            content=plan.content,
            variables=variables,
            output=output,
        )

    async def _lead(self, pool_id: str, ports: Iterable[int], ending: Iterable[int]) -> None:
        if self._entrance is None or self._network is None:
            return
        ports = tuple(ports)
        entrance = entrance_ports({*self._pools, pool_id})[pool_id]
        async with self._opening:
            if not self._network.is_up:
                return
            if self._network_age != self._network.age:
                if not ports:
                    return
                await self._entrance.open({entrance: ports})
                self._network_age = self._network.age
            else:
                await self._entrance.lead(entrance, ports, ending)

    def _look(self) -> TcpDiagnostics:
        """Give what looks into the network that the processes are in."""
        age = 0 if self._network is None else self._network.age
        if self._diagnostics is None or self._looked_age != age:
            self.network_down()
            self._looked_age = age
            self._diagnostics = TcpDiagnostics(None if self._network is None else self._network.mount_point)
        return self._diagnostics

    def _ports_of(self, plan: HttpPool) -> tuple[int, ...]:
        """Choose the ports of a pool where all sites share one network: two for each process, for its successor."""
        known = self._shared_ports.get(plan.id, ())
        if len(known) < 2 * plan.processes:
            more = random.sample(_SHARED_PORTS, 2 * plan.processes)
            known = self._shared_ports[plan.id] = (*known, *more)[: 2 * plan.processes]
        return known[: 2 * plan.processes]

    def _free_ports(self, pool_id: str) -> list[int]:
        listening = self._listeners()
        if self._network is not None:
            return choose_from(listening)
        taken = {one.port for one in listening}
        return [port for port in self._ports_of(self._plans[pool_id]) if port not in taken]

    def _listeners(self) -> list[TcpSocket]:
        if self._network is not None and not self._network.is_up:
            return []
        return self._look().listeners()

    def _connections(self, port: int) -> int:
        if self._network is not None and not self._network.is_up:
            return 0
        return sum(one.port == port for one in self._look().connections())

    def _unfinished(self) -> set[int]:
        if self._network is None or not self._network.is_up:
            return set()
        return self._look().unfinished()

    def _is_offline(self, plan: HttpPool) -> bool:
        return self._offline_name(plan) is not None

    def _offline_name(self, plan: HttpPool) -> str | None:
        """Find the file, whatever its letter case; the exact spelling goes first."""
        names = [name for name in self._tree.names(_folder(plan)) or () if name.lower() == _OFFLINE]
        return _OFFLINE if _OFFLINE in names else next(iter(names), None)


class _Host:
    """What one pool sees of its site."""

    def __init__(self, site: SiteHttpPools, pool_id: str) -> None:
        self._site = site
        self._pool_id = pool_id

    async def start(self, port: int, *, output: int) -> Process:
        return await self._site._start(self._pool_id, port, output)

    async def lead(self, ports: Iterable[int], ending: Iterable[int]) -> None:
        await self._site._lead(self._pool_id, ports, ending)

    def free_ports(self) -> Iterable[int]:
        return self._site._free_ports(self._pool_id)

    def listeners(self) -> list[TcpSocket]:
        return self._site._listeners()

    def ports_of_its_own_choice(self) -> list[int]:
        # Where all sites share one network, the ports of others are nobody's business.
        return [] if self._site._network is None else chosen_by_the_site(self._site._listeners())

    def connections(self, port: int) -> int:
        return self._site._connections(port)

    def unfinished(self) -> set[int]:
        return self._site._unfinished()

    async def stacks(self, process: Process) -> str:
        return await self._site._stacks(process)

    def log(self, name: str) -> LogFile:
        return self._site._open_log(name)


def takes_web_sockets(app_settings: Mapping[str, str]) -> bool:
    """Read the site's switch for WebSockets, which is on where nothing is said."""
    return app_settings.get(WEB_SOCKETS_SETTING, "").strip().lower() not in {"0", "false", "off"}


def _limits(plan: HttpPool) -> HttpPoolLimits:
    drain = min(plan.request_timeout_seconds or _LONGEST_DRAIN_SECONDS, _LONGEST_DRAIN_SECONDS)
    return HttpPoolLimits(processes=plan.processes, startup_seconds=plan.startup_seconds, drain_seconds=drain)


def _folder(plan: HttpPool) -> str:
    return plan.content.path.removeprefix("/home/")


def _with_port(text: str, port: int) -> str:
    return _PORT.sub(str(port), text)


def _key(server: str) -> tuple[bytes, int]:
    host, _, port = server.rpartition(":")
    return bytes(int(part) for part in host.split(".")), int(port)
