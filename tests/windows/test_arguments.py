import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.windows.arguments import join_arguments, quote_argument, split_arguments


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", ()),
        ("  ", ()),
        ("a b\tc\n d", ("a", "b", "c", "d")),
        (r"D:\home\x.py", (r"D:\home\x.py",)),
        (r'"D:\a b\x.py" y', (r"D:\a b\x.py", "y")),
        ("'a b'", ("'a", "b'")),
        (r'"abc" d e', ("abc", "d", "e")),
        (r"a\\b d\"e f\"g h".replace("d\\", 'd"\\').replace('f\\"g', 'f"g'), ("a\\\\b", 'd"e fg', "h")),
        (r"a\\\b d", (r"a\\\b", "d")),
        (r"a\\\"b c d", (r"a\"b", "c", "d")),
        (r'a\\\\"b c" d e', (r"a\\b c", "d", "e")),
        ('"a""b" c', ('a"b', "c")),
        ('""', ("",)),
        ('"" x ""', ("", "x", "")),
        ('a"b c"d', ("ab cd",)),
        ('"open end', ("open end",)),
        (r"x\ y", ("x\\", "y")),
    ],
)
def test_text_is_split_by_the_rules_of_the_c_runtime(text: str, arguments: tuple[str, ...]) -> None:
    assert split_arguments(text) == arguments


@pytest.mark.parametrize(
    ("argument", "quoted"),
    [
        ("a", "a"),
        (r"D:\home", r"D:\home"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a b\\", '"a b\\\\"'),
        ('a"', '"a\\""'),
    ],
)
def test_an_argument_is_quoted_only_where_needed(argument: str, quoted: str) -> None:
    assert quote_argument(argument) == quoted


@given(st.lists(st.text()))
def test_joined_arguments_split_into_themselves(arguments: list[str]) -> None:
    assert split_arguments(join_arguments(arguments)) == tuple(arguments)


@given(st.lists(st.text(st.sampled_from('\\" ab'))))
def test_joined_quotes_and_backslashes_split_into_themselves(arguments: list[str]) -> None:
    assert split_arguments(join_arguments(arguments)) == tuple(arguments)
