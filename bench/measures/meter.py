"""One run of the load generator with the CPU time that the stack spent on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.machine import cpu_nanoseconds, used_nanoseconds
from bench.stacks.stack import Members
from bench.wrk import Outcome, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What wrk saw, and the CPU microseconds per request of nginx, the site and the platform."""

    outcome: Outcome
    front_cpu: float
    site_cpu: float
    platform_cpu: float


class Measurable(Protocol):
    """Something that knows its processes."""

    def members(self) -> Members:
        """Tell the processes that now belong to it."""


def measure(stack: Measurable, *, words: list[str]) -> Reading:
    """Run wrk and read the CPU clocks of all processes of the stack before and after."""
    before = _clocks(stack.members())
    outcome = run(words)
    after = _clocks(stack.members())
    front, site, platform = (
        used_nanoseconds(old, new) / 1000 / max(1, outcome.requests)
        for old, new in zip(before, after, strict=True)
    )
    return Reading(outcome=outcome, front_cpu=front, site_cpu=site, platform_cpu=platform)


def _clocks(members: Members) -> list[Mapping[int, int]]:
    return [cpu_nanoseconds(group) for group in (members.front, members.site, members.platform)]
