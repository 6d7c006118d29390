"""What the SCM site does beside plain tools, and what it costs the site. Pure."""

from collections.abc import Iterator, Sequence
from statistics import median

from bench.report.words import mark, megabytes, ratio, table
from bench.samples import (
    Direction,
    EchoSample,
    LogReadersSample,
    Results,
    TransferSample,
    samples_of,
)
from bench.summary import grouped
from bench.targets import ECHO_SECONDS, LOG_READERS_RATIO, TRANSFER_GROWTH_BYTES, TRANSFER_RATIO, reached

_TRANSFERS = """\
One file through `/api/vfs`, beside an nginx that stores it by PUT (its own dav module) and serves it itself: the same curl, the same disk, the same core, one right after the other. Above 1 is better than plain nginx. Memory is what the SCM site's process held at most, beyond what it held before."""

_ECHO = """\
From the key to its echo on the console's WebSocket, in a real terminal behind nginx, typed at fifty keys a second."""

_READERS = """\
A site under load (raw WSGI, 32 connections) whose log grows by 100 lines a second, with and without readers of `/api/logstream`; above 1 is better than without. The CPU is that of everything: nginx, the site with its SCM site, the platform."""


def scm(results: Results) -> str:
    """Write the tables; nothing without samples."""
    parts = (
        _transfers(samples_of(results.transfers)),
        _echo(samples_of(results.echo)),
        _readers(samples_of(results.log_readers)),
    )
    return "\n\n".join(part for part in parts if part)


def _transfers(samples: Sequence[TransferSample]) -> str:
    if not samples:
        return ""
    head = ["", "throughput", "CPU", "MB a second", "memory", "rounds"]
    body = [
        [
            _transfer_words(group),
            ratio(median(one.peer_seconds / one.seconds for one in group)),
            ratio(median(one.peer_cpu_seconds / one.cpu_seconds for one in group)),
            f"{median(one.size_bytes / one.seconds for one in group) / 1e6:,.0f}",
            f"+{megabytes(max(one.growth_bytes for one in group))}",
            str(len(group)),
        ]
        for group in grouped(samples, key=lambda one: one.direction).values()
    ]
    return f"{_TRANSFERS}\n\n{table(head, body)}"


def _echo(samples: Sequence[EchoSample]) -> str:
    if not samples:
        return ""
    head = ["", "p50", "p99", "keys"]
    body = [
        [
            shell,
            _fine(median(one.p50 for one in group)),
            _fine(median(one.p99 for one in group)),
            str(sum(one.keys for one in group)),
        ]
        for shell, group in grouped(samples, key=lambda one: one.shell).items()
    ]
    return f"{_ECHO}\n\n{table(head, body)}"


def _readers(samples: Sequence[LogReadersSample]) -> str:
    if not samples:
        return ""
    head = ["", "throughput", "CPU per request", "rounds"]
    body = [
        [f"{readers} readers", ratio(rate), ratio(cpu), str(rounds)]
        for readers, rate, cpu, rounds in _reader_ratios(samples)
    ]
    return f"{_READERS}\n\n{table(head, body)}"


def _reader_ratios(
    samples: Sequence[LogReadersSample],
) -> Iterator[tuple[int, float | None, float | None, int]]:
    """Yield, for each number of readers, the medians of the rounds' ratios; None where an answer was wrong."""
    alone = {one.round: one for one in samples if not one.readers}
    for readers, group in grouped(samples, key=lambda one: one.readers).items():
        pairs = [(one, alone[one.round]) for one in group if one.round in alone]
        if not readers or not pairs:
            continue
        good = not any(one.failures for pair in pairs for one in pair)
        yield (
            readers,
            median(one.rate / base.rate for one, base in pairs) if good else None,
            median(base.cpu / one.cpu for one, base in pairs) if good else None,
            len(pairs),
        )


def scm_targets(results: Results) -> Iterator[list[str]]:
    """Yield the rows of what must be reached at least."""
    for group in grouped(samples_of(results.transfers), key=lambda one: one.direction).values():
        value = median(one.peer_seconds / one.seconds for one in group)
        yield [
            f"{_transfer_words(group)} beside plain nginx",
            ratio(TRANSFER_RATIO),
            "",
            "",
            ratio(value),
            mark(reached(value, at_least=TRANSFER_RATIO)),
        ]
    for readers, rate, cpu, _ in _reader_ratios(samples_of(results.log_readers)):
        yield [
            f"Site with {readers} readers of its log beside itself without",
            ratio(LOG_READERS_RATIO),
            ratio(cpu),
            mark(reached(cpu, at_least=LOG_READERS_RATIO)),
            ratio(rate),
            mark(reached(rate, at_least=LOG_READERS_RATIO)),
        ]


def scm_limits(results: Results) -> Iterator[list[str]]:
    """Yield the rows of what must be reached at most."""
    for group in grouped(samples_of(results.transfers), key=lambda one: one.direction).values():
        growth = max(one.growth_bytes for one in group)
        yield [
            f"{_transfer_words(group)}: memory of the SCM site beyond that before",
            megabytes(TRANSFER_GROWTH_BYTES),
            megabytes(growth),
            mark(growth <= TRANSFER_GROWTH_BYTES),
        ]
    for shell, samples in grouped(samples_of(results.echo), key=lambda one: one.shell).items():
        p99 = median(one.p99 for one in samples)
        yield [
            f"Echo of a key in the console, {shell} (p99, median of the rounds)",
            _fine(ECHO_SECONDS),
            _fine(p99),
            mark(p99 <= ECHO_SECONDS),
        ]


def _transfer_words(group: Sequence[TransferSample]) -> str:
    word = {Direction.UPLOAD: "Upload", Direction.DOWNLOAD: "Download"}[group[0].direction]
    return f"{word} of {group[0].size_bytes // 1_000_000:,} MB by `/api/vfs`"


def _fine(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
