"""The numbers that must be reached, and whether they are. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from bench.report.deployments import KIND_WORDS, deployment_ratio
from bench.report.files import file_ratio, size_words
from bench.report.scale import neighbour_ratio
from bench.report.scm import scm_limits, scm_targets
from bench.report.words import LOAD_WORDS, STACK_WORDS, connections, mark, milliseconds, ratio, table
from bench.samples import DeploymentKind, DeploymentSample, DisturbanceSample, Results, samples_of
from bench.summary import Key, Row, grouped
from bench.targets import (
    CHANGE_SECONDS,
    COLD_START_SECONDS,
    DEPLOYMENT_RATIOS,
    FILE_RATIO,
    NEIGHBOUR_RATIO,
    PACKAGES_SECONDS,
    Verdict,
    reached,
    verdicts,
)


def targets(measured: Mapping[Key, Row], results: Results) -> str:
    head = ["", "at least", "CPU per request", "", "throughput", ""]
    body = [_verdict(verdict) for verdict in verdicts(measured)]
    body += [
        [
            f"File of {size_words(size)} beside plain nginx",
            ratio(FILE_RATIO),
            "",
            "",
            ratio(value),
            mark(reached(value, at_least=FILE_RATIO)),
        ]
        for size, samples in grouped(samples_of(results.files), key=lambda sample: sample.size_bytes).items()
        if (value := file_ratio(samples)) is not None
    ]
    body += scm_targets(results)
    return "\n\n".join((table(head, body), table(["", "at most", "measured", ""], list(_limits(results)))))


def _verdict(verdict: Verdict) -> list[str]:
    target = verdict.target
    return [
        f"{STACK_WORDS[target.stack]}: {LOAD_WORDS[target.load]}, {connections(target.concurrency)}",
        ratio(target.ratio),
        ratio(verdict.cpu_ratio),
        mark(verdict.cpu_reached),
        ratio(verdict.rate_ratio),
        mark(verdict.rate_reached),
    ]


def _limits(results: Results) -> Iterator[list[str]]:
    for load, samples in grouped(samples_of(results.cold), key=lambda sample: sample.load).items():
        beyond = median(sample.beyond_import for sample in samples)
        yield [
            f"Cold start of {LOAD_WORDS[load]} beyond the application's import (median)",
            milliseconds(COLD_START_SECONDS),
            milliseconds(beyond),
            mark(beyond <= COLD_START_SECONDS),
        ]
    yield from _change_limits(samples_of(results.disturbance))
    compared = neighbour_ratio(samples_of(results.neighbours))
    if compared is not None:
        sites, value = compared
        yield [
            f"p99 latency of one site among {sites} with processes, as a multiple of a lone site's",
            f"{NEIGHBOUR_RATIO:.1f}",
            ratio(value),
            mark(value <= NEIGHBOUR_RATIO),
        ]
    yield from _deployment_limits(samples_of(results.deployments))
    yield from scm_limits(results)


def _deployment_limits(samples: Sequence[DeploymentSample]) -> Iterator[list[str]]:
    for kind, group in grouped(samples, key=lambda sample: sample.kind).items():
        value = deployment_ratio(group)
        limit = DEPLOYMENT_RATIOS[kind]
        yield [f"Deployment of {KIND_WORDS[kind]}", ratio(limit), ratio(value), mark(value <= limit)]
        if kind == DeploymentKind.PACKAGES:
            seconds = median(sample.seconds for sample in group)
            yield [
                "The same, in seconds (median)",
                f"{PACKAGES_SECONDS:.0f} s",
                f"{seconds:.2f} s",
                mark(seconds <= PACKAGES_SECONDS),
            ]


def _change_limits(samples: Sequence[DisturbanceSample]) -> Iterator[list[str]]:
    changes = [sample for sample in samples if sample.slowest_change is not None]
    for sites, group in grouped(changes, key=lambda sample: sample.sites).items():
        slowest = max(sample.slowest_change or 0.0 for sample in group)
        failed = sum(sample.failures + sample.socket_errors for sample in group)
        times = sum(sample.changes for sample in group)
        yield [
            f"Changed web.config live everywhere, under load, {sites} sites (slowest of {times}); failed requests",
            f"{milliseconds(CHANGE_SECONDS)}; 0",
            f"{milliseconds(slowest)}; {failed}",
            mark(slowest <= CHANGE_SECONDS and failed == 0),
        ]
