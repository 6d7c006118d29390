"""Requests per second and CPU per request: every stack under every load, interleaved."""

import contextlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.machine import proportional_bytes
from bench.measures.meter import measure_undisturbed
from bench.samples import Load, LoadSample, MemorySample, StackName
from bench.stacks.stack import Stack
from bench.workshop import Workshop
from bench.wrk import Target, command, run


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What to measure: `rounds` passes of `seconds` per cell, after one second of warming up.

    A cell is measured again when other programs use more than `foreign` CPU seconds per second.
    """

    loads: Sequence[Load]
    concurrencies: Sequence[int]
    rounds: int
    seconds: int
    foreign: float

    def steps(self, stacks: int) -> int:
        """Count the runs of the load generator that are measured."""
        return len(self.loads) * len(self.concurrencies) * self.rounds * stacks


Served = dict[StackName, tuple[Stack, Target]]


def measure_loads(
    workshop: Workshop, *, stacks: Sequence[Stack], plan: LoadPlan
) -> Iterator[LoadSample | MemorySample]:
    """Yield the samples of every load; memory is read when the rounds of a load are over.

    All stacks run at once and are asked in turn, in a new random order for each round, so that whatever else the machine
    does falls on all of them.
    """
    for load in plan.loads:
        with contextlib.ExitStack() as running:
            served = _start(workshop, stacks=stacks, load=load, running=running)
            for number in range(plan.rounds):
                yield from _round(workshop, served=served, load=load, plan=plan, number=number)
            workshop.say(f"{load}: memory")
            for name, (stack, _) in served.items():
                yield _memory(stack, name=name, load=load)


def _start(
    workshop: Workshop, *, stacks: Sequence[Stack], load: Load, running: contextlib.ExitStack
) -> Served:
    served: Served = {}
    for stack in stacks:
        workshop.say(f"{load}: starting {stack.name}")
        running.callback(stack.stop)
        served[stack.name] = (stack, stack.start(load))
    for name, (_, target) in served.items():
        workshop.say(f"{load}: warming up {name}")
        run(command(target, core=workshop.cores.client, connections=8, seconds=1))
    return served


def _round(
    workshop: Workshop, *, served: Served, load: Load, plan: LoadPlan, number: int
) -> Iterable[LoadSample]:
    cells = [(name, concurrency) for concurrency in plan.concurrencies for name in served]
    random.shuffle(cells)
    for name, concurrency in cells:
        workshop.say(f"{load}: round {number + 1} of {plan.rounds}, {name}, {concurrency} connections")
        stack, target = served[name]
        words = command(target, core=workshop.cores.client, connections=concurrency, seconds=plan.seconds)
        reading = measure_undisturbed(stack, words=words, foreign=plan.foreign)
        outcome = reading.outcome
        yield LoadSample(
            stack=name,
            load=load,
            concurrency=concurrency,
            round=number,
            requests=outcome.requests,
            seconds=outcome.seconds,
            failures=outcome.failures,
            socket_errors=outcome.socket_errors,
            front_cpu=reading.front_cpu,
            site_cpu=reading.site_cpu,
            platform_cpu=reading.platform_cpu,
            p50=outcome.p50,
            p99=outcome.p99,
            foreign=reading.foreign,
        )


def _memory(stack: Stack, *, name: StackName, load: Load) -> MemorySample:
    members = stack.members()
    return MemorySample(
        stack=name,
        load=load,
        front_bytes=proportional_bytes(members.front),
        site_bytes=proportional_bytes(members.site),
        platform_bytes=proportional_bytes(members.platform),
        site_processes=len(members.site),
    )
