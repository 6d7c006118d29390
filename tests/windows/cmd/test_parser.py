import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.windows.cmd.parser import parse
from homeport.windows.cmd.syntax import (
    AndThen,
    Block,
    CommandSyntaxError,
    Comparison,
    Defined,
    ErrorLevelAtLeast,
    Exists,
    For,
    ForKind,
    If,
    Node,
    OrElse,
    Pipe,
    Redirection,
    RedirectionKind,
    Remark,
    Sequence,
    Simple,
)

READ, WRITE, APPEND, DUPLICATE = RedirectionKind


def simple(text: str, *redirections: Redirection) -> Simple:
    return Simple(text=text, redirections=redirections)


def to(kind: RedirectionKind, handle: int, target: str) -> Redirection:
    return Redirection(kind=kind, handle=handle, target=target)


A, B, C = simple("a "), simple("b "), simple("c")

CASES: list[tuple[str, Node | None]] = [
    ("", None),
    (" \n ", None),
    ("dir", simple("dir")),
    ("@echo off", simple("echo off")),
    ("a & b & c", Sequence(items=(A, B, C))),
    ("a & b &", Sequence(items=(A, B))),
    ("a \r\nb \n\nc", Sequence(items=(A, B, C))),
    ("a && b || c", OrElse(first=AndThen(first=A, second=B), second=C)),
    ("a || b && c", OrElse(first=A, second=AndThen(first=B, second=C))),
    ("a && b && c", AndThen(first=AndThen(first=A, second=B), second=C)),
    ("a | b | c", Pipe(stages=(A, B, C))),
    ("a & b | c", Sequence(items=(A, Pipe(stages=(B, C))))),
    ("a&&b", AndThen(first=simple("a"), second=simple("b"))),
    ('echo "a & b | c" d', simple('echo "a & b | c" d')),
    ('echo "open & end', simple('echo "open & end')),
    ("echo a ^& b ^^ c", simple("echo a & b ^ c")),
    ("echo a^\nb", simple("echo ab")),
    ('echo "a^b"', simple('echo "a^b"')),
    ("echo a^", simple("echo a")),
    ("dir > out.txt", simple("dir ", to(WRITE, 1, "out.txt"))),
    ("dir>>out.txt 2>&1", simple("dir ", to(APPEND, 1, "out.txt"), to(DUPLICATE, 2, "1"))),
    ("echo a1>x", simple("echo a1", to(WRITE, 1, "x"))),
    ("echo a 2>nul b", simple("echo a  b", to(WRITE, 2, "nul"))),
    ("sort < in.txt", simple("sort ", to(READ, 0, "in.txt"))),
    ('type x > "a b.txt"', simple("type x ", to(WRITE, 1, "a b.txt"))),
    (">x echo hi", simple(" echo hi", to(WRITE, 1, "x"))),
    ("1>&2 echo hi", simple(" echo hi", to(DUPLICATE, 1, "2"))),
    ("(a & b ) > x", Block(body=Sequence(items=(A, B)), redirections=(to(WRITE, 1, "x"),))),
    ("(a \n b \n) && c", AndThen(first=Block(body=Sequence(items=(A, B))), second=C)),
    ("(a ) 2>&1", Block(body=A, redirections=(to(DUPLICATE, 2, "1"),))),
    ("echo a)b", simple("echo a)b")),
    ("rem a & b", Remark()),
    ("rem", Remark()),
    ("remove x", simple("remove x")),
    (":: note\nc", Sequence(items=(Remark(), C))),
    ("if exist x c", If(condition=Exists(path="x"), negated=False, then=C)),
    ('IF NOT EXIST "a b" c', If(condition=Exists(path='"a b"'), negated=True, then=C)),
    ("if defined X c", If(condition=Defined(name="X"), negated=False, then=C)),
    ("if errorlevel 1 c", If(condition=ErrorLevelAtLeast(level=1), negated=False, then=C)),
    (
        'if /i "%a"=="B" c',
        If(
            condition=Comparison(left='"%a"', operator="==", right='"B"', ignore_case=True),
            negated=False,
            then=C,
        ),
    ),
    (
        "if 1 LSS 2 (a ) else (b )",
        If(
            condition=Comparison(left="1", operator="lss", right="2"),
            negated=False,
            then=Block(body=A),
            otherwise=Block(body=B),
        ),
    ),
    ("if exist x a & b ", If(condition=Exists(path="x"), negated=False, then=Sequence(items=(A, B)))),
    (
        "for %x in (a b *.py) do @echo %x",
        For(kind=ForKind.ITEMS, option="", variable="x", source="a b *.py", body=simple("echo %x")),
    ),
    (
        "for /L %%i in (1,1,3) do c",
        For(kind=ForKind.NUMBERS, option="", variable="i", source="1,1,3", body=C),
    ),
    (
        "for /f \"tokens=1,2 delims=,\" %a in ('dir /b (x)') do c",
        For(kind=ForKind.LINES, option="tokens=1,2 delims=,", variable="a", source="'dir /b (x)'", body=C),
    ),
    ("for /r . %x in (*) do c", For(kind=ForKind.TREE, option=".", variable="x", source="*", body=C)),
    (
        "(for %x in (a) do c)",
        Block(body=For(kind=ForKind.ITEMS, option="", variable="x", source="a", body=C)),
    ),
]


@pytest.mark.parametrize(("line", "tree"), CASES, ids=[line for line, _ in CASES])
def test_a_line_is_read_as_cmd_does(line: str, tree: Node | None) -> None:
    assert parse(line) == tree


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("& a", 1, "& was unexpected"),
        ("a && && b", 6, "&& was unexpected"),
        ("a ||", 5, "incorrect"),
        ("a | | b", 5, "| was unexpected"),
        ("dir >", 6, "incorrect"),
        ("dir 2>&x", 8, "incorrect"),
        ("(a", 3, "')' is missing"),
        ("()", 2, ") was unexpected"),
        ("(a) b", 5, "b was unexpected"),
        ("if exist", 9, "incorrect"),
        ("if a b c", 6, "b was unexpected"),
        ("for x in (a) do c", 5, "x was unexpected"),
        ("for %x in a do c", 11, "a was unexpected"),
        ("a\n& b", 1, "& was unexpected"),
    ],
)
def test_an_error_points_at_its_column(line: str, column: int, message: str) -> None:
    with pytest.raises(CommandSyntaxError) as raised:
        parse(line)

    assert raised.value.column == column
    assert message in str(raised.value)
    assert str(raised.value).splitlines()[2] == " " * (column - 1) + "^"


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(CommandSyntaxError, match="too deeply"):
        parse("(" * 5000)
    with pytest.raises(CommandSyntaxError, match="too deeply"):
        parse("a && " * 5000 + "b")


@given(st.text(st.sampled_from('ab &|()<>^"%12\n@:=if exst norm')))
def test_any_line_is_parsed_or_refused_at_a_column_of_its_line(line: str) -> None:
    error = error_of(line)

    assert error is None or 1 <= error.column <= len(error.line) + 1


def error_of(line: str) -> CommandSyntaxError | None:
    try:
        parse(line)
    except CommandSyntaxError as error:
        return error
    return None


@given(st.text(st.characters(exclude_characters='"\n\r', exclude_categories=["Cs"])))
def test_quoted_text_is_never_an_operator(text: str) -> None:
    assert parse(f'x "{text}"') == simple(f'x "{text}"')
