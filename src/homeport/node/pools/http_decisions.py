"""What an httpPlatform pool should do next, from facts alone (IIS reference §4.2, §4.5, §4.7).

As `decisions`, for processes that are web servers of their own: they say nothing of themselves, so what counts is
whether they listen and how many connections nginx has to them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

_NANOSECONDS = 1_000_000_000
_MINUTE = 60 * _NANOSECONDS
KEPT_SECONDS = 3
"""How long nginx may use a connection: for two seconds, and for one more request after a second's idleness."""


class ServerState(StrEnum):
    """The life of one process: starting → ready → draining (no new connections) → stopping → gone."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """One process as observed; `since` is when its state began (CLOCK_MONOTONIC nanoseconds).

    `connections` is counted while it drains. `left_at` is since when no new connection is led to it, None: some may be.
    """

    number: int
    generation: int
    state: ServerState
    since: int
    connections: int = 0
    left_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPoolFacts:
    """A pool as observed.

    `waiting`: requests are held until a process listens. `connections` are those of nginx to the whole pool, idle
    ones that it keeps for a second among them. `crowded_since` is since when there were more connections than
    processes, None: there are not. `used_at` is when the pool last had a connection, `needed_at` when it last had as
    many as it has processes. `generation_refused`:
    the first process of the new generation did not come up, so the older ones stay. `offline`: app_offline.htm is
    there. `broken`: no process may be started for now.
    """

    now: int
    generation: int
    servers: tuple[ServerFacts, ...] = ()
    waiting: bool = False
    connections: int = 0
    crowded_since: int | None = None
    used_at: int = 0
    needed_at: int = 0
    generation_refused: bool = False
    offline: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPoolLimits:
    """Limits in seconds and counts. `drain_seconds` bounds how long a WebSocket keeps an old process."""

    processes: int
    startup_seconds: float
    drain_seconds: float
    stop_seconds: float = 10
    idle_seconds: float = 1200
    patience_seconds: float = 0.04


@dataclass(frozen=True, slots=True)
class StartServer:
    """Start a process of the current generation."""


@dataclass(frozen=True, slots=True)
class DrainServer:
    """Lead no new connection to a process; it goes when it has none left."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class StopServer:
    """Ask a process to end (SIGTERM)."""

    number: int


@dataclass(frozen=True, slots=True)
class KillServer:
    """Kill a process."""

    number: int
    reason: str


HttpAction = StartServer | DrainServer | StopServer | KillServer


def decide(facts: HttpPoolFacts, limits: HttpPoolLimits) -> tuple[HttpAction, ...]:
    """Return what to do now; empty when the pool is as it should be."""
    endings = tuple(_endings(facts, limits))
    if endings:
        return endings
    live = [one for one in facts.servers if one.state in (ServerState.STARTING, ServerState.READY)]
    if facts.offline:
        return tuple(DrainServer(one.number, "app_offline.htm is there") for one in live)
    current = [one for one in live if one.generation == facts.generation]
    old = [one for one in live if one.generation < facts.generation]
    if old:
        return () if facts.generation_refused else tuple(_replace(old, current, facts))
    if any(one.state is ServerState.STARTING for one in live):
        return ()
    if _wants_more(live, facts, limits):
        return (StartServer(),)
    return tuple(_surplus(live, facts, limits))


def seconds_until_renewed(facts: HttpPoolFacts) -> float:
    """Return how long requests may still reach a process older than the generation; infinity: until something happens.

    nginx sends requests on a connection that it keeps for some seconds after the process has been left. Where the new
    generation did not come up there is nothing to wait for.
    """
    serving = (ServerState.STARTING, ServerState.READY, ServerState.DRAINING)
    old = [one for one in facts.servers if one.generation < facts.generation and one.state in serving]
    if facts.generation_refused or not old:
        return 0
    left = [one.left_at for one in old if one.left_at is not None]
    if len(left) < len(old):
        return math.inf
    return max(max(left) / _NANOSECONDS + KEPT_SECONDS - facts.now / _NANOSECONDS, 0)


def _surplus(live: list[ServerFacts], facts: HttpPoolFacts, limits: HttpPoolLimits) -> Iterable[HttpAction]:
    """An unused pool ends altogether, one that is larger than it needs gives its processes back one at a time."""
    patience = limits.idle_seconds * _NANOSECONDS
    if facts.now - facts.used_at > patience:
        yield from (DrainServer(one.number, f"idle for {limits.idle_seconds:g} s") for one in live)
    elif len(live) > 1 and facts.now - facts.needed_at > patience:
        newest = max(live, key=lambda one: one.since)
        yield DrainServer(newest.number, f"not needed for {limits.idle_seconds:g} s")


def _endings(facts: HttpPoolFacts, limits: HttpPoolLimits) -> Iterable[HttpAction]:
    for one in facts.servers:
        age = (facts.now - one.since) / _NANOSECONDS
        if one.state is ServerState.STARTING and age > limits.startup_seconds:
            yield KillServer(one.number, f"it did not listen within {limits.startup_seconds:g} s")
        elif one.state is ServerState.DRAINING and (not one.connections or age > limits.drain_seconds):
            yield StopServer(one.number)
        elif one.state is ServerState.STOPPING and age > limits.stop_seconds:
            yield KillServer(one.number, f"it did not end within {limits.stop_seconds:g} s")


def _replace(
    old: list[ServerFacts], current: list[ServerFacts], facts: HttpPoolFacts
) -> Iterable[HttpAction]:
    """One new process first; the old ones leave once it listens, and the load brings up as many as it needs."""
    if any(one.state is ServerState.READY for one in current):
        yield from (DrainServer(one.number, "replaced by a newer one") for one in old)
    elif not current and not facts.broken:
        yield StartServer()


def _wants_more(live: list[ServerFacts], facts: HttpPoolFacts, limits: HttpPoolLimits) -> bool:
    if facts.broken or len(live) >= limits.processes:
        return False
    if not live:
        return facts.waiting
    if facts.crowded_since is None:
        return False
    return facts.now - facts.crowded_since >= limits.patience_seconds * _NANOSECONDS


@dataclass(frozen=True, slots=True)
class RapidFails:
    """How often processes failed within a minute: more than `most` and none is started until the minute is over."""

    most: int
    since: int = 0
    count: int = 0

    def failed(self, now: int) -> "RapidFails":
        """Return the count after one more failed start or crash."""
        if now - self.since >= _MINUTE or not self.count:
            return replace(self, since=now, count=1)
        return replace(self, count=self.count + 1)

    def refuses(self, now: int) -> bool:
        """Whether no process may be started now."""
        return self.count > self.most and now - self.since < _MINUTE

    def seconds_left(self, now: int) -> float:
        """Return how long that lasts."""
        return max(self.since + _MINUTE - now, 0) / _NANOSECONDS
