"""Targets are judged by what a reader of the page sees."""

from collections.abc import Callable

import pytest
from bench.samples import LoadSample, StackName
from bench.summary import rows
from bench.targets import TARGETS, reached, verdicts

Make = Callable[..., LoadSample]


@pytest.mark.parametrize(
    ("value", "least", "expected"),
    [
        (1.05, 1.05, True),
        (1.046, 1.05, True),
        (1.044, 1.05, False),
        (2.0, 1.05, True),
        (None, 1.05, None),
    ],
)
def test_a_ratio_counts_as_it_is_printed(value: float | None, least: float, expected: bool | None) -> None:
    assert reached(value, at_least=least) is expected


def test_eight_cells_have_a_target() -> None:
    assert len({target.key for target in TARGETS}) == 8


def test_cpu_and_throughput_are_judged_apart(make_sample: Make) -> None:
    samples = [
        make_sample(),
        make_sample(stack=StackName.HOMEPORT_ACCELERATED, front_cpu=10, site_cpu=10, requests=9_000),
    ]

    verdict = next(
        v for v in verdicts(rows(samples)) if v.target.key == (StackName.HOMEPORT_ACCELERATED, "hello", 32)
    )

    assert verdict.cpu_reached is True
    assert verdict.rate_reached is False


def test_a_row_with_failures_reaches_nothing(make_sample: Make) -> None:
    samples = [make_sample(round=number) for number in range(2)]
    samples += [
        make_sample(stack=StackName.HOMEPORT_PURE, round=number, site_cpu=1, failures=number)
        for number in range(2)
    ]

    verdict = next(
        v for v in verdicts(rows(samples)) if v.target.key == (StackName.HOMEPORT_PURE, "hello", 32)
    )

    assert verdict.cpu_reached is verdict.rate_reached is None


def test_what_was_not_measured_is_not_judged() -> None:
    assert all(verdict.cpu_reached is None for verdict in verdicts({}))
