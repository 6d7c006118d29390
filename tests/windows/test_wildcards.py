import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.windows.wildcards import has_wildcards, match_names

NAMES = ["b.txt", "A.TXT", "c", "a[1].py", "x.y.z"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["A.TXT", "a[1].py", "b.txt", "c", "x.y.z"]),
        ("*.*", ["A.TXT", "a[1].py", "b.txt", "c", "x.y.z"]),
        ("*.txt", ["A.TXT", "b.txt"]),
        ("?", ["c"]),
        ("?.TXT", ["A.TXT", "b.txt"]),
        ("a[1].*", ["a[1].py"]),
        ("x.*", ["x.y.z"]),
        ("nope", []),
    ],
)
def test_a_pattern_matches_names_without_case_and_sorted(pattern: str, found: list[str]) -> None:
    assert match_names(pattern, NAMES) == found


def test_only_stars_and_question_marks_make_a_pattern() -> None:
    assert has_wildcards("a*")
    assert has_wildcards("?")
    assert not has_wildcards("a[1]")


@given(st.lists(st.text(min_size=1)))
def test_the_star_matches_every_name(names: list[str]) -> None:
    assert sorted(match_names("*", names)) == sorted(names)
