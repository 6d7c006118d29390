"""One httpPlatform pool: its processes, their ports and their logs, driven by `http_decisions.decide`.

The agent calls `tick` some times a second while the pool is awake. A request that finds no process is held by the
activator, in `ready`.
"""

import asyncio
import contextlib
import itertools
import random
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import structlog

from homeport.model.errors import HomeportError, Unavailable
from homeport.node.log_files import LogFile, OutputPipe
from homeport.node.pools.http_decisions import (
    DrainServer,
    HttpAction,
    HttpPoolFacts,
    HttpPoolLimits,
    KillServer,
    RapidFails,
    ServerFacts,
    ServerState,
    StartServer,
    StopServer,
    decide,
    seconds_until_renewed,
)
from homeport.node.pools.pool import PoolStatus, PortNeverOpened, Spawn
from homeport.node.processes import Process
from homeport.node.python_stacks import standing_at
from homeport.node.tcp_diagnostics import TcpSocket

_log = structlog.get_logger(__name__)
_PORTS = range(10_000, 48_001)
"""IIS reference §4.3: any from 1026 to 48000; below 10000 an application may want one for itself."""
_FIRST_LOOK_SECONDS = 0.004
_LONGEST_LOOK_SECONDS = 0.05
_LOOKS_PER_AGE = 20
"""A process is looked at after one more part of that many of its age: it is noticed so much later at most."""
_RETRY_SECONDS = 0.1
_MOST_PORTS_NAMED = 3
_STACKS_SECONDS = 4.0
_MOST_STACKS = 32_000
"""Characters; innermost lines come first."""
_RENEWAL_LOOK_SECONDS = 1.0
_FAREWELL_SECONDS = 600
"""How long the connections of a process that has ended keep their way, so that their other ends learn of it."""
_FIRST_FAREWELL_LOOK_SECONDS = 0.01
_LONGEST_FAREWELL_LOOK_SECONDS = 1.0


class ServerHost(Protocol):
    """What a pool needs of its site."""

    async def start(self, port: int, *, output: int) -> Process:
        """Start a process that is to listen on `port`; raises a `HomeportError` when it cannot."""

    async def lead(self, ports: Iterable[int], ending: Iterable[int]) -> None:
        """Lead new connections to these ports, in turn; none: refuse them. Those to the ending ones go on."""

    def free_ports(self) -> Iterable[int]:
        """Give the ports to choose from."""

    def listeners(self) -> list[TcpSocket]:
        """Give the sockets that listen in the site's network."""

    def ports_of_its_own_choice(self) -> list[int]:
        """Give the ports on which processes of the site listen that nobody gave them."""

    def connections(self, port: int) -> int:
        """Count the connections to a port of the site."""

    def unfinished(self) -> set[int]:
        """Give the ports of the site that nginx's side must still be able to hear of, where it has an own network."""

    async def stacks(self, process: Process) -> str:
        """Give the Python stacks of a process and of those below it, empty where there are none."""

    def log(self, name: str) -> LogFile:
        """Open a log below the site's home."""


@dataclass(slots=True)
class _Server:
    number: int
    port: int
    generation: int
    output: OutputPipe
    state: ServerState = ServerState.STARTING
    since: int = field(default_factory=time.monotonic_ns)
    process: Process | None = None
    connections: int = 0
    left_at: int | None = None
    listened: bool = False
    ended_by_us: bool = False
    given_up: bool = False
    problem: str = ""
    never_opened: PortNeverOpened | None = None


class HttpServerPool:
    """An httpPlatform pool of one site.

    `log` takes what the platform says, and what processes print unless `stdout_log` (a prefix of file names relative
    to the site's home) is given.
    """

    def __init__(
        self,
        pool_id: str,
        *,
        host: ServerHost,
        limits: HttpPoolLimits,
        startup_retries: int,
        rapid_fails: int,
        stdout_log: str | None,
        log: LogFile,
        spawn: Spawn,
    ) -> None:
        self.id = pool_id
        self._host = host
        self._limits = limits
        self._startup_retries = startup_retries
        self._rapid_fails = RapidFails(most=rapid_fails)
        self._stdout_log = stdout_log
        self._log = log
        self._spawn = spawn
        self._servers: dict[int, _Server] = {}
        self._numbers = itertools.count()
        self._generation = 1
        self._refused = False
        self._offline = False
        self._closing = False
        self._waiting = 0
        self._failed_starts = 0
        self._retry_at = 0
        self._changed = asyncio.Event()
        self._connections = 0
        self._crowded_since: int | None = None
        self._used_at = self._needed_at = time.monotonic_ns()
        self._led: tuple[int, ...] = ()
        self._ending: tuple[int, ...] = ()
        self._not_led = ""
        self._left_behind: dict[int, float] = {}
        self._leading = asyncio.Lock()
        self.reason = ""
        self._port_never_opened: PortNeverOpened | None = None

    @property
    def awake(self) -> bool:
        """Whether the pool needs ticks."""
        return bool(self._servers) or self._waiting > 0

    @property
    def busy(self) -> bool:
        """Whether something changes soon."""
        ready = sum(one.state is ServerState.READY for one in self._servers.values())
        may_grow = self._connections > 0 and ready < self._limits.processes
        return self._waiting > 0 or may_grow or ready < len(self._servers)

    @property
    def offline(self) -> bool:
        """Whether app_offline.htm answers for the application."""
        return self._offline

    @property
    def _reachable(self) -> bool:
        return any(one.state is ServerState.READY and one.port in self._led for one in self._servers.values())

    async def ready(self) -> None:
        """Wait until a process takes connections. Raises `Unavailable` when none can be started."""
        self._waiting += 1
        try:
            self._failed_starts = 0 if self._waiting == 1 else self._failed_starts
            while not self._reachable:
                if self._closing:
                    raise Unavailable("The site is being stopped.")
                self._refuse_when_hopeless()
                self._changed.clear()
                self._tick_again()
                if self._not_led:
                    await self._lead()
                    if self._not_led:
                        raise Unavailable(self._not_led)
                if not self._reachable:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), self._patience())
        finally:
            self._waiting -= 1

    def _patience(self) -> float:
        """Give the seconds after which one who waits looks again, were nothing to change before."""
        pause = (self._retry_at - time.monotonic_ns()) / 1e9
        return pause if 0 < pause < 1 else 1

    def reconfigure(
        self,
        limits: HttpPoolLimits,
        *,
        startup_retries: int,
        rapid_fails: int,
        stdout_log: str | None,
    ) -> None:
        """Take new limits over; processes that were started with the old settings go by `recycle`."""
        self._limits = limits
        self._startup_retries = startup_retries
        self._rapid_fails = RapidFails(most=rapid_fails)
        self._stdout_log = stdout_log

    def recycle(self, reason: str) -> None:
        """Replace every process by new ones, without losing a request."""
        self._refused = False
        self._failed_starts = 0
        self._rapid_fails = RapidFails(most=self._rapid_fails.most)
        self.reason, self._port_never_opened = "", None
        if any(one.generation == self._generation for one in self._servers.values()):
            # Two reasons that come at once are one recycling: the new generation is started a moment later.
            self._generation += 1
            self._say(f"recycling: {reason}.")
            asyncio.get_running_loop().call_soon(self._tick_again)

    async def renewed(self) -> None:
        """Return once no request reaches a process older than the last `recycle`, or none that was to follow started."""
        while not self._closing:
            seconds = seconds_until_renewed(self._facts(time.monotonic_ns()))
            if not seconds:
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(seconds, _RENEWAL_LOOK_SECONDS))

    def set_offline(self, offline: bool) -> None:  # noqa: FBT001 (the fact itself)
        """Take app_offline.htm into account: while it is there, no process runs."""
        if offline != self._offline:
            self._offline = offline
            self._say(f"app_offline.htm {'is there: the site is offline' if offline else 'is gone'}.")
            self._tick_again()

    def _tick_again(self) -> None:
        self.tick(connections=self._connections)

    def tick(self, *, connections: int) -> None:
        """Observe, decide, act. `connections` are those of nginx to the pool at this moment."""
        if self._closing:
            return
        now = time.monotonic_ns()
        self._observe(now, connections)
        for action in decide(self._facts(now), self._limits):
            self._act(action)

    def _facts(self, now: int) -> HttpPoolFacts:
        return HttpPoolFacts(
            now=now,
            generation=self._generation,
            servers=tuple(
                ServerFacts(
                    number=one.number,
                    generation=one.generation,
                    state=one.state,
                    since=one.since,
                    connections=one.connections,
                    left_at=one.left_at,
                )
                for one in self._servers.values()
            ),
            waiting=self._waiting > 0,
            connections=self._connections,
            crowded_since=self._crowded_since,
            used_at=self._used_at,
            needed_at=self._needed_at,
            generation_refused=self._refused,
            offline=self._offline,
            broken=self._rapid_fails.refuses(now) or now < self._retry_at,
        )

    def status(self) -> PoolStatus:
        """Tell an owner how the pool is."""
        state = "idle"
        states = {one.state for one in self._servers.values()}
        if self._rapid_fails.refuses(time.monotonic_ns()):
            state = "broken"
        elif ServerState.READY in states:
            state = "running"
        elif states:
            state = "starting"
        return PoolStatus(
            id=self.id,
            state=state,
            reason=self.reason,
            processes=tuple(
                (one.process.pid, one.state.value)
                for one in self._servers.values()
                if one.process is not None
            ),
            requests=0,
            port_never_opened=self._port_never_opened,
        )

    async def close(self, *, seconds: float, reason: str) -> None:
        """Refuse new connections, end every process, and kill those that are not gone in time."""
        self._closing = True
        self._changed.set()
        if self._servers:
            self._say(f"stopping: {reason}.")
        for one in list(self._servers.values()):
            self._leave(one, ServerState.STOPPING)
            self._terminate(one)
        await self._lead()
        end = time.monotonic() + seconds
        while self._servers and time.monotonic() < end:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(end - time.monotonic(), 0.01))
        for one in list(self._servers.values()):
            self._kill(one)
        while self._servers:
            self._changed.clear()
            await self._changed.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_FAREWELL_LOOK_SECONDS):
                while self._left_behind:
                    self._changed.clear()
                    await self._changed.wait()

    def _observe(self, now: int, connections: int) -> None:
        self._connections = connections
        live = sum(one.state is ServerState.READY for one in self._servers.values())
        self._crowded_since = (self._crowded_since or now) if connections > live else None
        if connections or self._waiting or not live:
            self._used_at = now
        if connections >= live or not live:
            self._needed_at = now
        for one in self._servers.values():
            if one.state is ServerState.DRAINING:
                with contextlib.suppress(Unavailable):
                    one.connections = self._host.connections(one.port)

    def _act(self, action: HttpAction) -> None:
        match action:
            case StartServer():
                self._start()
            case DrainServer(number, reason):
                self._drain(self._servers[number], reason)
            case StopServer(number):
                self._leave(self._servers[number], ServerState.STOPPING)
                self._terminate(self._servers[number])
            case KillServer(number, reason):
                self._kill_for(self._servers[number], reason)

    def _start(self) -> None:
        try:
            taken = {one.port for one in self._servers.values()} | self._left_behind.keys()
            free = [port for port in self._host.free_ports() if port not in taken]
        except Unavailable as error:
            self.reason, self._port_never_opened = error.message, None
            self._failed_starts += 1
            self._retry_at = time.monotonic_ns() + int(_RETRY_SECONDS * 1e9)
            return
        server = _Server(
            next(self._numbers),
            random.choice(free),  # noqa: S311 (no secret: who may reach it is decided elsewhere)
            self._generation,
            OutputPipe(self._log),
        )
        self._servers[server.number] = server
        self._spawn(self._bring_up(server))

    async def _bring_up(self, server: _Server) -> None:
        try:
            server.process = process = await self._host.start(server.port, output=server.output.write_end)
        except (HomeportError, OSError) as error:
            server.problem = str(error)
            self._gone(server)
            return
        if self._stdout_log is not None:
            server.output.write_to(self._host.log(stdout_log_name(self._stdout_log, process.pid)))
        process.when_exited(lambda code: self._exited(server, code))
        if server.ended_by_us:
            self._kill(server)
        self._spawn(self._lead())  # while it starts, so that the way is ready when it listens
        while server.state is ServerState.STARTING and process.alive:
            if self._listens(server):
                server.state, server.since = ServerState.READY, time.monotonic_ns()
                server.listened = True
                self._failed_starts = 0
                self.reason, self._port_never_opened = "", None
                await self._lead()
                self._tick_again()
                return
            age = (time.monotonic_ns() - server.since) / 1e9
            await asyncio.sleep(min(max(age / _LOOKS_PER_AGE, _FIRST_LOOK_SECONDS), _LONGEST_LOOK_SECONDS))

    def _listens(self, server: _Server) -> bool:
        try:
            found = [one for one in self._host.listeners() if one.port == server.port]
        except Unavailable:
            return False
        if found and not any(one.on_loopback for one in found):
            server.problem = (
                f"it listens on port {server.port} of another address than 127.0.0.1 (of IPv6 only, perhaps)"
            )
        return any(one.on_loopback for one in found)

    async def _lead(self) -> None:
        """Bring the kernel's table in line with the processes that are ready.

        While there is none, the first connection may already find one that starts: until it listens it is refused.
        """
        async with self._leading:
            running = [one for one in self._servers.values() if one.process is not None]
            ready = [one for one in running if one.state is ServerState.READY]
            starting = [one for one in running if one.state is ServerState.STARTING]
            ports = tuple(sorted(one.port for one in ready or starting))
            leaving = (ServerState.DRAINING, ServerState.STOPPING)
            ending = tuple(
                sorted({one.port for one in running if one.state in leaving} | self._left_behind.keys())
            )
            if (ports, ending) != (self._led, self._ending):
                try:
                    await self._host.lead(ports, ending)
                except HomeportError as error:
                    self.reason, self._port_never_opened = error.message, None
                    self._not_led = error.message
                    self._changed.set()
                    _log.error("http-pool.not-led", pool=self.id, reason=error.message)
                    return
                self._led, self._ending, self._not_led = ports, ending, ""
            for one in running:
                if one.left_at is None and one.port in ending:
                    one.left_at = time.monotonic_ns()
            self._changed.set()

    def _drain(self, server: _Server, reason: str) -> None:
        self._say(f"process {_pid(server)} takes no more requests: {reason}.")
        if server.state is ServerState.STARTING:
            self._leave(server, ServerState.STOPPING)
            self._terminate(server)
            return
        self._needed_at = time.monotonic_ns()
        server.connections = 1  # until it has been counted
        self._leave(server, ServerState.DRAINING)

    def _leave(self, server: _Server, state: ServerState) -> None:
        server.ended_by_us = True
        server.state, server.since = state, time.monotonic_ns()
        self._spawn(self._lead())

    def _terminate(self, server: _Server) -> None:
        if server.process is not None and not server.process.send_inside(signal.SIGTERM):
            self._kill(server)

    def _kill_for(self, server: _Server, reason: str) -> None:
        if server.state is ServerState.STARTING:
            if not server.given_up:
                server.given_up = True
                self._spawn(self._give_up(server, reason))
            return
        self._say(f"process {_pid(server)} killed: {reason}.")
        server.ended_by_us = True
        server.state, server.since = ServerState.STOPPING, time.monotonic_ns()
        self._kill(server)

    async def _give_up(self, server: _Server, reason: str) -> None:
        """Kill a process that did not listen in time, and say where it stood; one that listens by now may live."""
        stacks = await self._stacks(server)
        if server.state is not ServerState.STARTING:
            return
        server.problem = server.problem or self._opened_instead()
        server.never_opened = PortNeverOpened(
            port=server.port,
            seconds=self._limits.startup_seconds,
            instead=server.problem,
            standing_at=standing_at(stacks),
        )
        server.problem = f"{reason} on port {server.port}" + (f"; {server.problem}" if server.problem else "")
        if stacks:
            self._say(f"the Python stacks of process {_pid(server)}, which is killed:")
            for line in stacks.splitlines():
                self._say(f"  {line}")
        server.state, server.since = ServerState.STOPPING, time.monotonic_ns()
        self._kill(server)

    async def _stacks(self, server: _Server) -> str:
        if server.process is not None:
            with contextlib.suppress(HomeportError, OSError, TimeoutError):
                async with asyncio.timeout(_STACKS_SECONDS):
                    return (await self._host.stacks(server.process))[:_MOST_STACKS]
        return ""

    def _opened_instead(self) -> str:
        with contextlib.suppress(Unavailable):
            ports = self._host.ports_of_its_own_choice()
            if ports:
                named = ", ".join(str(port) for port in ports[:_MOST_PORTS_NAMED])
                return f"it, or another process of the site, listens on port {named} instead"
        return ""

    def _kill(self, server: _Server) -> None:
        if server.process is not None:
            server.process.kill()

    def _exited(self, server: _Server, code: int) -> None:
        if not server.ended_by_us and not server.problem:
            when = "before it listened" if server.state is ServerState.STARTING else "by itself"
            server.problem = f"the process ended {when} ({_ending(code)})"
        self._gone(server)

    def _gone(self, server: _Server) -> None:
        server.output.close()
        self._servers.pop(server.number, None)
        self._leave_behind(server.port)
        if server.problem and not server.ended_by_us:
            self._failed(server)
        self._spawn(self._lead())
        self._changed.set()

    def _leave_behind(self, port: int) -> None:
        """Keep the way of an ended process's connections until their other ends know that they are over.

        Its end is seen before that of all that it started, and the kernel may still have answers to send for it. Were the
        way gone by then, nginx would wait for an answer that never comes.
        """
        if port not in self._unfinished():
            return
        if not self._left_behind:
            self._spawn(self._see_off())
        self._left_behind[port] = time.monotonic() + _FAREWELL_SECONDS

    async def _see_off(self) -> None:
        pause = _FIRST_FAREWELL_LOOK_SECONDS
        while self._left_behind:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_FAREWELL_LOOK_SECONDS)
            unfinished, now = self._unfinished(), time.monotonic()
            over = [port for port, end in self._left_behind.items() if port not in unfinished or now > end]
            for port in over:
                del self._left_behind[port]
            if over:
                await self._lead()

    def _unfinished(self) -> set[int]:
        try:
            return self._host.unfinished()
        except Unavailable:
            return set()

    def _failed(self, server: _Server) -> None:
        """Count a failed start or a crash, and say it as IIS's event log does, with the last words of the process."""
        now = time.monotonic_ns()
        self._rapid_fails = self._rapid_fails.failed(now)
        self._failed_starts += 1
        if not server.listened:  # one that did may be replaced at once
            self._retry_at = now + int(_RETRY_SECONDS * 1e9)
        self.reason, self._port_never_opened = server.problem, server.never_opened
        self._say(f"Process '{server.number}' failed. Port = {server.port}: {server.problem}.")
        if self._stdout_log is not None and server.output.last:
            self._log.append(server.output.last.encode() + b"\n")
        if any(one.generation < server.generation for one in self._servers.values()) and not self._refused:
            self._refused = True
            self._say(f"the new version did not start, the old one keeps serving: {self.reason}.")
        if self._rapid_fails.refuses(now):
            self._say(
                f"Maximum rapid fail count per minute of '{self._rapid_fails.most}' exceeded: nothing is started for "
                f"{self._rapid_fails.seconds_left(now):.0f} s."
            )

    def _refuse_when_hopeless(self) -> None:
        if self._rapid_fails.refuses(time.monotonic_ns()):
            raise Unavailable(f"Too many failures within a minute; the last: {self.reason}.")
        if self._failed_starts > self._startup_retries:
            raise Unavailable(f"Not started after {self._failed_starts} attempts: {self.reason}.")

    def _say(self, line: str) -> None:
        self._log.append(f"[homeport] {line}\n".encode())


def stdout_log_name(prefix: str, pid: int) -> str:
    """Name a log as IIS does: the prefix, the pid and the time in UTC, its numbers without zeros (§4.6)."""
    now = datetime.now(UTC)
    stamp = "".join(str(part) for part in (now.year, now.month, now.day, now.hour, now.minute, now.second))
    return f"{prefix}_{pid}_{stamp}.log"


def chosen_by_the_site(listening: Iterable[TcpSocket]) -> list[int]:
    """Return the ports, in a network of one site, that are none of those that processes are given."""
    return sorted({one.port for one in listening} - set(_PORTS))


def choose_from(listening: Iterable[TcpSocket]) -> list[int]:
    """Give the ports on which nobody listens."""
    taken = {one.port for one in listening}
    return [port for port in _PORTS if port not in taken]


def _pid(server: _Server) -> str:
    return str(server.process.pid) if server.process is not None else "?"


def _ending(code: int) -> str:
    if code < 0:
        return f"signal {-code}"
    return f"exit code {code}" if code < 128 else f"signal {code - 128}"
