"""Ratios are formed within a round and summed up by their median."""

from collections.abc import Callable

import pytest
from bench.samples import BASELINE, LoadSample, StackName
from bench.summary import grouped, rows, slope
from hypothesis import given
from hypothesis import strategies as st

OTHER = StackName.HOMEPORT_PURE
Make = Callable[..., LoadSample]


def _row(samples: list[LoadSample]):
    return rows(samples)[(OTHER, "hello", 32)]


def test_half_the_cpu_is_a_ratio_of_two(make_sample: Make) -> None:
    row = _row([make_sample(), make_sample(stack=OTHER, front_cpu=7.5, site_cpu=5.0)])

    assert row.cpu_ratio == pytest.approx(2.0)


def test_twice_the_requests_are_a_ratio_of_two(make_sample: Make) -> None:
    row = _row([make_sample(), make_sample(stack=OTHER, requests=20_000)])

    assert row.rate_ratio == pytest.approx(2.0)


def test_the_baseline_is_its_own_measure(make_sample: Make) -> None:
    row = rows([make_sample(round=number, site_cpu=number + 1.0) for number in range(5)])[
        (BASELINE, "hello", 32)
    ]

    assert row.cpu_ratio == row.rate_ratio == 1.0


def test_a_slow_round_slows_both_sides_and_leaves_the_ratio(make_sample: Make) -> None:
    slowed = [(number, 10.0 if number == 2 else 1.0) for number in range(5)]
    samples = [make_sample(round=number, front_cpu=10 * by, site_cpu=10 * by) for number, by in slowed]
    samples += [
        make_sample(stack=OTHER, round=number, front_cpu=4 * by, site_cpu=4 * by) for number, by in slowed
    ]

    row = _row(samples)

    assert (row.cpu_low, row.cpu_ratio, row.cpu_high) == pytest.approx((2.5, 2.5, 2.5))


def test_one_bad_answer_makes_the_row_invalid_and_its_round_without_ratio(make_sample: Make) -> None:
    row = _row([make_sample(), make_sample(stack=OTHER, failures=1)])

    assert not row.valid
    assert row.failures == 1
    assert row.cpu_ratio is row.rate_ratio is None


def test_a_baseline_that_failed_in_a_round_gives_no_ratio_for_it(make_sample: Make) -> None:
    samples = [
        make_sample(round=0, socket_errors=3),
        make_sample(round=1),
        make_sample(stack=OTHER, round=0, front_cpu=1.0, site_cpu=1.0),
        make_sample(stack=OTHER, round=1),
    ]

    assert _row(samples).cpu_ratio == pytest.approx(1.0)


def test_without_a_baseline_there_are_absolute_numbers_alone(make_sample: Make) -> None:
    row = _row([make_sample(stack=OTHER)])

    assert row.cpu_ratio is None
    assert row.rate == 10_000


def test_loads_and_concurrencies_are_kept_apart(make_sample: Make) -> None:
    table = rows([make_sample(), make_sample(concurrency=1), make_sample(load="body")])

    assert set(table) == {(BASELINE, "hello", 32), (BASELINE, "hello", 1), (BASELINE, "body", 32)}


def test_a_slope_needs_two_different_points() -> None:
    assert slope([]) is slope([(1, 2), (1, 3)]) is None


@given(
    st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.lists(st.integers(-1000, 1000), min_size=2, unique=True)
)
def test_the_slope_of_a_line_is_its_own(rise: float, start: float, places: list[int]) -> None:
    assert slope((x, start + rise * x) for x in places) == pytest.approx(rise, abs=1e-6, rel=1e-6)


@given(st.lists(st.integers()))
def test_grouping_loses_nothing_and_keeps_order(items: list[int]) -> None:
    groups = grouped(items, key=lambda item: item % 3)

    assert sorted(item for group in groups.values() for item in group) == sorted(items)
    assert all(group == [item for item in items if item % 3 == key] for key, group in groups.items())
