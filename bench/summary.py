"""Medians and ratios of samples. Pure."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from bench.samples import BASELINE, LoadSample

ItemT = TypeVar("ItemT")
KeyT = TypeVar("KeyT", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stack under one load at one concurrency, as ratios to the baseline of the same rounds (>1 is better).

    `cpu_ratio`, `rate_ratio`: medians over the rounds of the paired ratios, None where no valid pair exists;
    `cpu_low`, `cpu_high`: the extremes of the paired CPU ratios. `front_cpu`, `site_cpu`, `platform_cpu` (CPU
    microseconds per request), `rate` (requests per second), `p50`, `p99` (microseconds): medians, for orientation. `problems`: answers and
    connections that failed in all rounds together.
    """

    stack: str
    load: str
    concurrency: int
    rounds: int
    cpu_ratio: float | None
    cpu_low: float | None
    cpu_high: float | None
    rate_ratio: float | None
    front_cpu: float
    site_cpu: float
    platform_cpu: float
    rate: float
    p50: float
    p99: float
    failures: int
    socket_errors: int

    @property
    def valid(self) -> bool:
        """Say whether every request of every round was answered well."""
        return self.failures == 0 and self.socket_errors == 0


Key = tuple[str, str, int]


def rows(samples: Iterable[LoadSample]) -> Mapping[Key, Row]:
    """Sum up samples by (stack, load, concurrency), in the order of their first appearance."""
    groups = grouped(samples, key=lambda sample: (sample.stack, sample.load, sample.concurrency))
    return {
        key: _row(group, baseline=groups.get((BASELINE, key[1], key[2]), [])) for key, group in groups.items()
    }


def _row(group: list[LoadSample], *, baseline: list[LoadSample]) -> Row:
    cpu = paired(group, baseline, value=lambda own, base: base.cpu / own.cpu)
    rate = paired(group, baseline, value=lambda own, base: own.rate / base.rate)
    first = group[0]
    return Row(
        stack=first.stack,
        load=first.load,
        concurrency=first.concurrency,
        rounds=len(group),
        cpu_ratio=median(cpu) if cpu else None,
        cpu_low=min(cpu, default=None),
        cpu_high=max(cpu, default=None),
        rate_ratio=median(rate) if rate else None,
        front_cpu=median(sample.front_cpu for sample in group),
        site_cpu=median(sample.site_cpu for sample in group),
        platform_cpu=median(sample.platform_cpu for sample in group),
        rate=median(sample.rate for sample in group),
        p50=median(sample.p50 for sample in group),
        p99=median(sample.p99 for sample in group),
        failures=sum(sample.failures for sample in group),
        socket_errors=sum(sample.socket_errors for sample in group),
    )


def paired(
    group: Iterable[LoadSample],
    baseline: Iterable[LoadSample],
    *,
    value: Callable[[LoadSample, LoadSample], float],
) -> list[float]:
    """Compare the samples of the same round; rounds in which either is invalid are left out."""
    base = {sample.round: sample for sample in baseline if sample.valid and sample.cpu > 0}
    return [
        value(sample, base[sample.round])
        for sample in group
        if sample.valid and sample.cpu > 0 and sample.round in base
    ]


def slope(points: Iterable[tuple[float, float]]) -> float | None:
    """Fit a line by least squares and give its slope; None for fewer than two different abscissas."""
    pairs = list(points)
    if len({x for x, _ in pairs}) < 2:
        return None
    mean_x = sum(x for x, _ in pairs) / len(pairs)
    mean_y = sum(y for _, y in pairs) / len(pairs)
    above = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    return above / sum((x - mean_x) ** 2 for x, _ in pairs)


def grouped(items: Iterable[ItemT], *, key: Callable[[ItemT], KeyT]) -> dict[KeyT, list[ItemT]]:
    """Sort items into lists by a key, in the order of first appearance."""
    groups: dict[KeyT, list[ItemT]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
