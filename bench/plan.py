"""What one run measures: which parts, stacks and loads, how long and how often. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.measures.http_platform import HttpPlan
from bench.measures.loads import LoadPlan
from bench.measures.scale import ScalePlan
from bench.measures.scm import ScmPlan
from bench.samples import Load, StackName


class Part(StrEnum):
    """The parts of a run that can be asked for by name."""

    LOADS = "loads"
    COLD = "cold"
    SCALE = "scale"
    NEIGHBOURS = "neighbours"
    DEPLOYMENTS = "deployments"
    REWRITING = "rewriting"
    HTTP_PLATFORM = "http-platform"
    FILES = "files"
    SCM = "scm"


SPEED_LOADS = (Load.HELLO, Load.FLASK, Load.DJANGO, Load.BODY, Load.UPLOAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One run. `complete`: nothing was left out, so it may become the page."""

    parts: frozenset[Part]
    stacks: frozenset[StackName]
    load: LoadPlan
    cold_loads: Sequence[Load]
    cold_attempts: int
    scale: ScalePlan
    scale_sites: Sequence[int]
    crowd: int
    deployments: int
    http: HttpPlan
    scm: ScmPlan
    complete: bool


def names() -> list[str]:
    """List the words that `--only` understands."""
    return [*Part, *StackName, *(load.value for load in SPEED_LOADS)]


def make_plan(
    *,
    only: Collection[str],
    quick: bool,
    seconds: int,
    rounds: int,
    foreign: float = 0.15,
    megabytes: int | None = None,
) -> RunPlan:
    """Narrow the full plan. Words of one kind (parts, stacks, loads) choose within that kind; none of a kind: all.

    `megabytes` is the size of a file that goes through the SCM site; None: 1000, or 100 when it is to be quick.
    A stack or a load alone means the part that has them, the loads. Raises ValueError for an unknown word.
    """
    unknown = [word for word in only if word not in names()]
    if unknown:
        raise ValueError(
            f"'{unknown[0]}' is nothing that can be measured: choose among {', '.join(names())}."
        )
    parts = frozenset(part for part in Part if part.value in only)
    stacks = frozenset(stack for stack in StackName if stack.value in only)
    loads = tuple(load for load in SPEED_LOADS if load.value in only)
    if not parts:
        parts = frozenset({Part.LOADS}) if stacks or loads else frozenset(Part)
    return RunPlan(
        parts=parts,
        stacks=stacks or frozenset(StackName),
        load=LoadPlan(
            loads=loads or ((Load.HELLO, Load.FLASK) if quick else SPEED_LOADS),
            concurrencies=(1, 32) if quick else (1, 32, 128),
            rounds=2 if quick else rounds,
            seconds=1 if quick else seconds,
            foreign=foreign,
        ),
        cold_loads=loads or (Load.HELLO, Load.FLASK, Load.DJANGO),
        cold_attempts=3 if quick else 15,
        scale=ScalePlan(rounds=2, seconds=1, reloads=3, changes=3)
        if quick
        else ScalePlan(rounds=max(rounds, 7), seconds=seconds, reloads=7, changes=5),
        scale_sites=(1, 100) if quick else (1, 100, 1000),
        crowd=20 if quick else 200,
        deployments=2 if quick else rounds,
        http=HttpPlan(rounds=2, seconds=1) if quick else HttpPlan(rounds=rounds, seconds=max(seconds, 2)),
        scm=ScmPlan(rounds=2, megabytes=megabytes or 100, keys=100, seconds=1, foreign=foreign)
        if quick
        else ScmPlan(
            rounds=rounds, megabytes=megabytes or 1000, keys=500, seconds=max(seconds, 3), foreign=foreign
        ),
        complete=not (quick or stacks or loads),
    )
