"""What many sites cost each other. Pure."""

from collections.abc import Callable, Sequence
from statistics import median

from bench.report.words import milliseconds, table
from bench.samples import (
    DisturbanceSample,
    NeighbourSample,
    ReloadSample,
    Results,
    RouteSample,
    samples_of,
)
from bench.summary import grouped

_ROUTE = "The first site under load, 32 connections, on platforms that run at the same time; multiples of the platform with the fewest sites."


_RELOAD = "nginx alone is told to reload, without load. Creating or reconfiguring a site needs one reload; starting, stopping and replacing processes needs none."


_DISTURBANCE = """\
Reloads under saturation (8 clients with a new connection for each request, then 32 that keep theirs); changes of an app setting in web.config, which replace the site's processes, under 32 (8) visitors who pause 40 ms.
"Slowest live" is the time from writing the file until no client gets the old value any more, for the slowest change.
A site may make about ten changes in a row; further ones wait, six seconds each, so that no site keeps nginx reloading. As many are made here.
A client that keeps its connection can lose the race against an nginx worker that closes it while the next request is on its way; browsers repeat such a request by themselves, wrk counts it."""


_NEIGHBOURS = "The same load (32 visitors who pause 40 ms) on a platform with one site and on one where all sites have a process, at the same time, in turns; multiples of the lone site."


def many_sites(results: Results) -> str:
    parts = []
    if routes := samples_of(results.route):
        parts += ["### Route cost", _ROUTE, _route(routes)]
    if reloads := samples_of(results.reload):
        parts += ["### Reload cost", _RELOAD, _reload(reloads)]
    if disturbances := samples_of(results.disturbance):
        parts += ["### Requests during reloads and changes", _DISTURBANCE, _disturbance(disturbances)]
    if neighbours := samples_of(results.neighbours):
        parts += ["### One site among many", _NEIGHBOURS, _neighbours(neighbours)]
    return "\n\n".join(parts)


def _route(samples: Sequence[RouteSample]) -> str:
    groups = grouped(samples, key=lambda sample: sample.sites)
    fewest = groups[min(groups)]
    head = ["sites", "nginx, CPU per request", "whole stack, CPU per request", "failed requests", "rounds"]
    body = [
        [
            str(sites),
            f"{_paired(group, fewest, lambda sample: sample.front_cpu):.2f}×",
            f"{_paired(group, fewest, lambda sample: sample.front_cpu + sample.back_cpu):.2f}×",
            str(sum(sample.failures + sample.socket_errors for sample in group)),
            str(len(group)),
        ]
        for sites, group in sorted(groups.items())
    ]
    return table(head, body)


def _paired(
    group: Sequence[RouteSample], base: Sequence[RouteSample], value: Callable[[RouteSample], float]
) -> float:
    by_round = {sample.round: value(sample) for sample in base}
    return median(value(sample) / by_round[sample.round] for sample in group if by_round.get(sample.round))


def _reload(samples: Sequence[ReloadSample]) -> str:
    head = ["sites", "until only new workers accept", "nginx's CPU time", "reloads"]
    body = [
        [
            str(sites),
            milliseconds(median(sample.seconds for sample in group)),
            milliseconds(median(sample.cpu_seconds for sample in group)),
            str(len(group)),
        ]
        for sites, group in sorted(grouped(samples, key=lambda sample: sample.sites).items())
    ]
    return table(head, body)


def _disturbance(samples: Sequence[DisturbanceSample]) -> str:
    words = {"reload": "reload of nginx", "change": "change of web.config"}
    head = [
        "what, with how many sites",
        "clients",
        "times",
        "requests",
        "bad answers",
        "no answer",
        "slowest live",
    ]
    body = [
        [
            f"{words[sample.what]}, {sample.sites}",
            sample.clients,
            str(sample.changes),
            str(sample.requests),
            str(sample.failures),
            str(sample.socket_errors),
            "–" if sample.slowest_change is None else milliseconds(sample.slowest_change),
        ]
        for sample in sorted(samples, key=lambda sample: (sample.sites, sample.what, sample.clients))
    ]
    return table(head, body)


def _neighbours(samples: Sequence[NeighbourSample]) -> str:
    groups = grouped(samples, key=lambda sample: sample.sites)
    lone = groups[min(groups)]
    head = ["sites, all with a process", "p50", "p99", "failed requests", "rounds"]
    body = [
        [
            str(sites),
            f"{median(s.p50 for s in group) / median(s.p50 for s in lone):.2f}×",
            f"{median(s.p99 for s in group) / median(s.p99 for s in lone):.2f}×",
            str(sum(sample.failures + sample.socket_errors for sample in group)),
            str(len(group)),
        ]
        for sites, group in sorted(groups.items())
    ]
    return table(head, body)


def neighbour_ratio(samples: Sequence[NeighbourSample]) -> tuple[int, float] | None:
    groups = grouped(samples, key=lambda sample: sample.sites)
    if len(groups) < 2:
        return None
    most = max(groups)
    lone = median(sample.p99 for sample in groups[min(groups)])
    return most, median(sample.p99 for sample in groups[most]) / lone
