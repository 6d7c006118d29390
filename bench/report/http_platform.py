"""What httpPlatform costs beside nginx in front of the same server, by hand. Pure."""

from collections.abc import Sequence
from statistics import median

from bench.report.words import ratio, table
from bench.samples import HttpMeasure, HttpPlatformSample
from bench.summary import grouped
from bench.targets import HTTP_COLD_SECONDS, HTTP_RATE_RATIO, WEB_SOCKET_RATIO

_NOTE = """\
An ASGI application of 13 bytes; one process of the server, one core for it and nginx. The two are measured one right after the other. Requests per second with 32 connections; the median round trip of 64 bytes on one WebSocket; the first request to a site without a process, beside the time that the server alone takes from its start until it listens."""


def http_platform(samples: Sequence[HttpPlatformSample]) -> str:
    """Write the table; nothing without samples."""
    if not samples:
        return ""
    head = ["server", "", "Homeport", "by hand", "compared", "wanted", "rounds"]
    body = [
        [server, *_row(measure, group), str(len(group))]
        for (server, measure), group in grouped(
            samples, key=lambda sample: (sample.server, sample.measure)
        ).items()
    ]
    return f"{_NOTE}\n\n{table(head, body)}"


def _row(measure: str, group: Sequence[HttpPlatformSample]) -> list[str]:
    own, peer = median(one.own for one in group), median(one.peer for one in group)
    compared = median(one.own / one.peer for one in group)
    if measure == HttpMeasure.RATE:
        return [
            "requests per second",
            f"{own:,.0f}",
            f"{peer:,.0f}",
            ratio(compared),
            f"≥ {HTTP_RATE_RATIO:g}",
        ]
    if measure == HttpMeasure.ECHO:
        return [
            "WebSocket echo",
            f"{own * 1e6:.0f} µs",
            f"{peer * 1e6:.0f} µs",
            ratio(compared),
            f"≤ {WEB_SOCKET_RATIO:g}",
        ]
    beyond = median(one.own - one.peer for one in group)
    return [
        "cold start",
        f"{own * 1000:.0f} ms",
        f"{peer * 1000:.0f} ms",
        f"+{beyond * 1000:.0f} ms",
        f"≤ {HTTP_COLD_SECONDS * 1000:.0f} ms",
    ]
