import pytest

from homeport.windows.cmd.batch import batch_lines, find_label, statement_at


def test_a_caret_joins_a_line_with_the_next_and_two_do_not() -> None:
    assert batch_lines("a^\r\nb\nc^^\nd") == ["ab", "c^^", "d"]


@pytest.mark.parametrize(
    ("lines", "position", "statement"),
    [
        (["a", "b"], 0, ("a", 1)),
        (["if x==x (", " a", ")", "b"], 0, ("if x==x (\n a\n)", 3)),
        (["if x==x (", " a", ") else (", " c", ")", "b"], 0, ("if x==x (\n a\n) else (\n c\n)", 5)),
        (["for %%x in (a", "b) do c", "d"], 0, ("for %%x in (a\nb) do c", 2)),
        (["(a", "b"], 0, ("(a", 1)),
        (["a && && b", "c"], 0, ("a && && b", 1)),
    ],
)
def test_a_statement_goes_to_the_end_of_its_block(
    lines: list[str], position: int, statement: tuple[str, int]
) -> None:
    assert statement_at(lines, position) == statement


def test_labels_are_found_without_case() -> None:
    lines = ["x", " :Again", ":done rest"]

    assert find_label(lines, "AGAIN") == 1
    assert find_label(lines, "done") == 2
    assert find_label(lines, "eof") == 3
    assert find_label(lines, "nope") is None
