"""What fifty rewrite rules cost. Pure."""

from collections.abc import Sequence
from statistics import median

from bench.report.words import mark, ratio, table
from bench.samples import RewritingSample
from bench.targets import REWRITING_RATIO, reached

_INTRODUCTION = """\
Raw WSGI with 32 connections, on one platform, in turns. The last of the fifty rules applies; the medians of all rounds."""


def rewriting(samples: Sequence[RewritingSample]) -> str:
    if not samples:
        return ""
    head = ["", "requests per second", "CPU per request (nginx + the rest)"]
    body = [_row("without rules", samples, rules=False), _row("with fifty rules", samples, rules=True)]
    value = rewriting_ratio(samples)
    limit = table(
        ["", "at least", "measured", ""],
        [
            [
                "Throughput with fifty rules, as a part of that without",
                ratio(REWRITING_RATIO),
                ratio(value),
                mark(reached(value, at_least=REWRITING_RATIO)),
            ]
        ],
    )
    return f"{_INTRODUCTION}\n\n{table(head, body)}\n\n{limit}"


def rewriting_ratio(samples: Sequence[RewritingSample]) -> float | None:
    """Give the throughput with rules as a ratio to that without; None where a request failed or nothing was measured."""
    if not samples or any(sample.failures for sample in samples):
        return None
    with_rules, without = (
        [sample.rate for sample in samples if bool(sample.rules) is ruled] for ruled in (True, False)
    )
    return median(with_rules) / median(without) if with_rules and without else None


def _row(name: str, samples: Sequence[RewritingSample], *, rules: bool) -> list[str]:
    group = [sample for sample in samples if bool(sample.rules) is rules]
    if not group:
        return [name, "–", "–"]
    front, back = (median(getattr(sample, part) for sample in group) for part in ("front_cpu", "back_cpu"))
    return [name, f"{median(sample.rate for sample in group):.0f}", f"{front:.0f} + {back:.0f} µs"]
