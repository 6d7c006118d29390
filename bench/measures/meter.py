"""One run of the load generator with the CPU time that the stack spent on it."""

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.machine import busy_seconds, cpu_nanoseconds, used_nanoseconds
from bench.stacks.stack import Members
from bench.wrk import Outcome, run

ATTEMPTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What wrk saw, and the CPU microseconds per request of nginx, the site and the platform.

    `foreign`: CPU seconds per second that all other programs of the machine used meanwhile.
    """

    outcome: Outcome
    front_cpu: float
    site_cpu: float
    platform_cpu: float
    foreign: float


class Measurable(Protocol):
    """Something that knows its processes."""

    def members(self) -> Members:
        """Tell the processes that now belong to it."""


def measure(stack: Measurable, *, words: list[str]) -> Reading:
    """Run wrk and read the CPU clocks of all processes of the stack before and after."""
    machine, loader = busy_seconds(), _children_seconds()
    before, begun = _clocks(stack.members()), time.perf_counter()
    outcome = run(words)
    elapsed, after = time.perf_counter() - begun, _clocks(stack.members())
    front, site, platform = (
        used_nanoseconds(old, new) / 1000 for old, new in zip(before, after, strict=True)
    )
    own = (front + site + platform) / 1e6 + _children_seconds() - loader
    requests = max(1, outcome.requests)
    return Reading(
        outcome=outcome,
        front_cpu=front / requests,
        site_cpu=site / requests,
        platform_cpu=platform / requests,
        foreign=max(0.0, busy_seconds() - machine - own) / elapsed,
    )


def measure_undisturbed(stack: Measurable, *, words: list[str], foreign: float) -> Reading:
    """Measure again while other programs use more than `foreign` CPU seconds per second; give the quietest reading."""
    readings = []
    for _ in range(ATTEMPTS):
        readings.append(measure(stack, words=words))
        if readings[-1].foreign <= foreign:
            break
    return min(readings, key=lambda reading: reading.foreign)


def _children_seconds() -> float:
    """CPU time of the load generator's runs: children that have ended and were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _clocks(members: Members) -> list[Mapping[int, int]]:
    return [cpu_nanoseconds(group) for group in (members.front, members.site, members.platform)]
