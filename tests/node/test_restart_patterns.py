"""A tenant's restart pattern is matched as authored, and cannot cost the agent its time or memory."""

import pytest

from homeport.node.restart_patterns import RestartPatterns

DEFAULT = r".*((\.py)|(\.config))$"


@pytest.mark.parametrize(("path", "matches"), [("app.py", True), ("a/b.config", True), ("a/b.txt", False)])
def test_the_default_pattern(path: str, *, matches: bool) -> None:
    assert (RestartPatterns().first_match(DEFAULT, [path]) == path) is matches


def test_backslashes_as_authored_for_windows_and_slashes_both_match() -> None:
    patterns = RestartPatterns()

    assert patterns.first_match(r"app\\views\.py", ["app/views.py"]) == "app/views.py"
    assert patterns.first_match(r"app/views\.py", ["app/views.py"]) == "app/views.py"


@pytest.mark.parametrize("pattern", ["", "(", "a{100}" * 3, "(?:(?:(?:a{100}){100}){100}){100}", "a" * 500])
def test_nothing_broken_large_or_exploding_is_matched(pattern: str) -> None:
    assert RestartPatterns().first_match(pattern, ["a" * 300]) is None


def test_a_pattern_that_takes_too_long_is_given_up_for_good() -> None:
    patterns = RestartPatterns()
    paths = [f"{'x' * 40}{number}" for number in range(500)]

    for _ in range(20):  # ten thousand tries of twenty milliseconds would be longer than a test may take
        assert patterns.first_match(r".*(?:(x+)(x+)(x+)(x+))+\1y", paths) is None
