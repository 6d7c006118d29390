"""One run of the load generator with the CPU time that the stack spent on it."""

from dataclasses import dataclass
from typing import Protocol

from bench.machine import cpu_nanoseconds, used_nanoseconds
from bench.stacks.stack import Members
from bench.wrk import Outcome, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What wrk saw, and the stack's CPU microseconds per request."""

    outcome: Outcome
    front_cpu: float
    back_cpu: float


class Measurable(Protocol):
    """Something that knows its processes."""

    def members(self) -> Members:
        """Tell the processes that now belong to it."""


def measure(stack: Measurable, *, words: list[str]) -> Reading:
    """Run wrk and read the CPU clocks of all processes of the stack before and after."""
    before = stack.members()
    front, back = cpu_nanoseconds(before.front), cpu_nanoseconds(before.back)
    outcome = run(words)
    after = stack.members()
    requests = max(1, outcome.requests) * 1000
    return Reading(
        outcome=outcome,
        front_cpu=used_nanoseconds(front, cpu_nanoseconds(after.front)) / requests,
        back_cpu=used_nanoseconds(back, cpu_nanoseconds(after.back)) / requests,
    )
