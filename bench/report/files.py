"""What a file costs beside plain nginx. Pure."""

from collections.abc import Sequence
from statistics import median

from bench.report.words import ratio, table
from bench.samples import FileSample
from bench.summary import grouped

_NOTE = """\
A site with files and nothing else beside an nginx that serves the same folder and nothing else, on the same core, 32 connections; above 1 is better than plain nginx."""


def files(samples: Sequence[FileSample]) -> str:
    """Write the table; nothing without samples."""
    if not samples:
        return ""
    head = ["", "CPU per request", "throughput", "requests a second", "rounds"]
    body = [
        [
            size_words(size),
            ratio(median(sample.plain_cpu / sample.cpu for sample in group)),
            ratio(file_ratio(group)),
            f"{median(sample.rate for sample in group):,.0f}",
            str(len(group)),
        ]
        for size, group in grouped(samples, key=lambda sample: sample.size_bytes).items()
    ]
    return f"{_NOTE}\n\n{table(head, body)}"


def file_ratio(samples: Sequence[FileSample]) -> float | None:
    """Return the median of the rounds' ratios of throughput; None where an answer was wrong."""
    if any(sample.failures for sample in samples):
        return None
    return median(sample.rate / sample.plain_rate for sample in samples)


def size_words(size: int) -> str:
    """Name a size."""
    return f"{size // 1024} KB" if size < 1024 * 1024 else f"{size // (1024 * 1024)} MB"
