"""Many sites on one platform: what routing, reloading and configuring cost, and what other sites cost a site."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import cpu_nanoseconds, proportional_bytes, used_nanoseconds
from bench.measures.disturbances import measure_changes, measure_reloads
from bench.measures.meter import measure
from bench.processes import wait_until
from bench.samples import (
    DisturbanceSample,
    FootprintSample,
    NeighbourSample,
    ReloadSample,
    RouteSample,
)
from bench.stacks.homeport import wake
from bench.stacks.town import TARGET_SITE, Town
from bench.wrk import PACED, SATURATING, Target, command, run

RELOAD_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePlan:
    """How often: `rounds` of a run of `seconds`, `reloads` timed reloads, `changes` under load for each kind."""

    rounds: int
    seconds: int
    reloads: int
    changes: int


ScaleSample = RouteSample | ReloadSample | DisturbanceSample | FootprintSample


def measure_scale(towns: Sequence[Town], *, plan: ScalePlan) -> Iterator[ScaleSample]:
    """Yield footprints, then route costs (all platforms at once, interleaved), reloads and disturbances."""
    with contextlib.ExitStack() as running:
        for town in towns:
            yield _open(town, running=running)
        targets = {town.sites: town.target() for town in towns}
        for town in towns:
            town.visit([TARGET_SITE])
            wake(town.platform, targets[town.sites])
        for number in range(plan.rounds):
            for town in random.sample(towns, len(towns)):
                yield _route(town, target=targets[town.sites], number=number, plan=plan)
        for town in towns:
            for attempt in range(plan.reloads):
                town.platform.workshop.say(f"{town.sites} sites: reload {attempt + 1} of {plan.reloads}")
                yield _reload(town, attempt=attempt)
        for town in towns:
            yield from measure_reloads(town, target=targets[town.sites], times=plan.changes)
        for town in towns:
            yield from measure_changes(town, target=targets[town.sites], times=plan.changes)


def measure_neighbours(
    *, lone: Town, crowd: Town, plan: ScalePlan
) -> Iterator[NeighbourSample | FootprintSample]:
    """Yield the latency of one site alone and beside sites that all have a process, at the pace of visitors."""
    with contextlib.ExitStack() as running:
        for town in (lone, crowd):
            yield _open(town, running=running)
        crowd.platform.workshop.say(f"waking {crowd.inhabited} sites")
        crowd.visit(crowd.names[: crowd.inhabited])
        yield _footprint(crowd, active=crowd.inhabited, ready_seconds=0.0)
        targets = {town.sites: town.target() for town in (lone, crowd)}
        for town in (lone, crowd):
            wake(town.platform, targets[town.sites], processes=crowd.inhabited + 1 if town is crowd else 2)
        for number in range(plan.rounds):
            for town in random.sample((lone, crowd), 2):
                town.platform.workshop.say(
                    f"one site among {town.sites}: round {number + 1} of {plan.rounds}"
                )
                words = _words(town, target=targets[town.sites], seconds=3 * plan.seconds, script=PACED)
                outcome = run(words)
                yield NeighbourSample(
                    sites=town.sites,
                    round=number,
                    p50=outcome.p50,
                    p99=outcome.p99,
                    failures=outcome.failures,
                    socket_errors=outcome.socket_errors,
                )


def _open(town: Town, *, running: contextlib.ExitStack) -> FootprintSample:
    town.platform.workshop.say(f"{town.sites} sites: starting")
    before = time.perf_counter()
    running.enter_context(town.platform)
    return _footprint(town, active=0, ready_seconds=time.perf_counter() - before)


def _footprint(town: Town, *, active: int, ready_seconds: float) -> FootprintSample:
    members = town.platform.members()
    return FootprintSample(
        sites=town.sites,
        active=active,
        front_bytes=proportional_bytes(members.front),
        platform_bytes=proportional_bytes(members.platform),
        site_bytes=proportional_bytes(members.site),
        ready_seconds=ready_seconds,
    )


def _route(town: Town, *, target: Target, number: int, plan: ScalePlan) -> RouteSample:
    town.platform.workshop.say(f"{town.sites} sites: round {number + 1} of {plan.rounds}")
    reading = measure(town.platform, words=_words(town, target=target, seconds=plan.seconds))
    return RouteSample(
        sites=town.sites,
        round=number,
        front_cpu=reading.front_cpu,
        back_cpu=reading.site_cpu + reading.platform_cpu,
        failures=reading.outcome.failures,
        socket_errors=reading.outcome.socket_errors,
    )


def _reload(town: Town, *, attempt: int) -> ReloadSample:
    master = town.platform.nginx_master()
    old = _children(master)
    before = cpu_nanoseconds((master, *old))
    begun = time.perf_counter()
    os.kill(master, signal.SIGHUP)
    wait_until(lambda: _replaced(master, old), seconds=RELOAD_SECONDS, what="nginx reloads", pause=0.001)
    seconds = time.perf_counter() - begun
    wait_until(lambda: not old & _children(master), seconds=RELOAD_SECONDS, what="nginx's old workers end")
    after = cpu_nanoseconds((master, *_children(master)))
    return ReloadSample(
        sites=town.sites, attempt=attempt, seconds=seconds, cpu_seconds=used_nanoseconds(before, after) / 1e9
    )


def _children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def _replaced(master: int, old: set[int]) -> bool:
    """Say whether new workers run and every old one has ended or only finishes what it has."""
    return bool(_children(master) - old) and all(_leaves(pid) for pid in old)


def _leaves(pid: int) -> bool:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return title == b"" or b"is shutting down" in title


def _words(town: Town, *, target: Target, seconds: int, script: Path = SATURATING) -> list[str]:
    return command(
        target, core=town.platform.workshop.cores.client, connections=32, seconds=seconds, script=script
    )
