"""No value changes the structure of what is written: an independent reader finds the same words again."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.model.errors import Invalid
from homeport.node.nginx.server import render_site
from homeport.node.nginx.writer import (
    DOLLAR,
    Directive,
    Entry,
    If,
    Plain,
    Text,
    Variable,
    block,
    directive,
    render,
)
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.plan import FastCgi, Place, Rule, StaticFiles
from homeport.webconfig.sections.request_filtering import Listing, RequestFiltering

from .running import POOL, Folders, check, python_plan, running_nginx

HOSTILE = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40) | st.text(
    alphabet="{};#\"'\\$ ~=@*()|nrt", max_size=40
)


def words(text: str) -> list[str]:
    """Read tokens as nginx does: blanks separate, quotes group, a backslash keeps quotes and itself."""
    found: list[str] = []
    at = 0
    while at < len(text):
        if text[at].isspace() and text[at] in " \t\r\n":
            at += 1
        elif text[at] in "{};":
            found.append(f"<{text[at]}>")
            at += 1
        elif text[at] == '"':
            at, word = _quoted(text, at + 1)
            found.append(word)
        else:
            end = at
            while text[end] not in " \t\r\n;{":
                end += 1
            found.append(text[at:end])
            at = end
    return found


def _quoted(text: str, at: int) -> tuple[int, str]:
    pieces: list[str] = []
    while text[at] != '"':
        if text[at] == "\\" and text[at + 1] in "\\\"'":
            at += 1
        elif text[at] == "\\" and text[at + 1] in "trn":
            pieces.append({"t": "\t", "r": "\r", "n": "\n"}[text[at + 1]])
            at += 2
            continue
        pieces.append(text[at])
        at += 1
    return at + 1, "".join(pieces)


@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_plain_words_are_read_back_as_they_were(values: list[str]) -> None:
    text = render([block("a", *(Plain(value) for value in values), body=[directive("b", Plain(values[0]))])])

    assert words(text) == ["a", *values, "<{>", "b", values[0], "<;>", "<}>"]


@given(HOSTILE, HOSTILE)
def test_text_keeps_its_dollars_from_being_variables(before: str, after: str) -> None:
    text = render([directive("a", Text(before, Variable("host"), after))])

    dollar = f"${{{DOLLAR}}}"
    expected = before.replace("$", dollar) + "${host}" + after.replace("$", dollar)
    assert words(text) == ["a", expected, "<;>"]


@given(HOSTILE)
def test_an_entry_is_read_back_as_it_was(key: str) -> None:
    assert words(render([Entry(Plain(key), ("x",))])) == [key, "x", "<;>"]


@pytest.mark.parametrize(
    "value", ["a\nb", "a\0b", "\r", "\x1b", "\x7f", "\ud800", "x" * 4001, "é" * 2001, '"' * 2001]
)
@pytest.mark.parametrize("kind", [str, Plain, Text])
def test_what_cannot_be_written_is_refused(kind: type[str] | type[Plain] | type[Text], value: str) -> None:
    with pytest.raises(Invalid) as raised:
        render([directive("a", kind(value))])

    assert raised.value.code == "nginx.invalid-value"


def test_a_fixed_word_may_not_hold_a_dollar() -> None:
    with pytest.raises(Invalid):
        render([directive("a", "$host")])


@pytest.mark.parametrize("name", ["", "a b", "a;", "a{", "$x", "A", "a-b", "1"])
def test_names_are_names(name: str) -> None:
    with pytest.raises(Invalid):
        render([Directive(name)])
    with pytest.raises(Invalid):
        render([directive("set", Variable(name), "x")])
    with pytest.raises(Invalid):
        render([If(Variable(name), ())])


def test_a_condition_is_written_as_nginx_reads_it() -> None:
    nodes = [
        If(Variable("x"), (directive("return", "404"),)),
        If(Variable("x"), (), operator="!~", operand=Plain('^(?:"GET")$')),
        If(None, (), operator="-f", operand=Text("/a b/", Variable("uri"))),
    ]

    assert render(nodes) == (
        'if ($x) {\n    return 404;\n}\nif ($x !~ "^(?:\\"GET\\")$") {\n}\nif (-f "/a b/${uri}") {\n}\n'
    )


@pytest.mark.parametrize("operator", ["", "==", "~;", "-f x"])
def test_a_condition_without_variable_or_with_another_operator_is_refused(operator: str) -> None:
    with pytest.raises(Invalid):
        render([If(None, (), operator=operator, operand="x")])


@settings(max_examples=12, deadline=None)
@given(st.lists(HOSTILE, min_size=20, max_size=20))
def test_nginx_itself_accepts_hostile_values_and_sends_them_back(values: list[str]) -> None:
    """The real reader: each value is the body of an answer and comes back byte by byte."""
    root = Path(tempfile.mkdtemp(prefix="hp-nginx-"))
    try:
        folders = Folders(root)
        locations = [
            block("location", "=", f"/{at}", body=[directive("return", "200", Text(value))])
            for at, value in enumerate(values)
        ]
        named = [
            block("location", Plain(f"/loc/{value}"), body=[directive("return", "204")])
            for value in dict.fromkeys(values)
        ]
        server = block(
            "server",
            body=[
                directive("listen", f"127.0.0.1:{folders.port}"),
                directive("server_name", "echo.localhost"),
                *locations,
                *named,
            ],
        )
        judged = check(folders, render([server]))
        assert judged.returncode == 0, judged.stderr
        with running_nginx(folders) as nginx:
            for at, value in enumerate(values):
                assert nginx.request(f"/{at}", host="echo.localhost").body.decode() == value
    finally:
        shutil.rmtree(root)


def test_a_plan_with_hostile_names_is_accepted_by_nginx(folders: Folders) -> None:
    nasty = "a b;{}\"'\\$host#~*"
    rules = (
        Rule(folder=f"/{nasty}/", path=nasty, base="/", verbs=(nasty, "GET"), action=FastCgi(pool=POOL)),
        Rule(folder=f"/{nasty}/", action=StaticFiles(default_documents=(nasty,))),
        Rule(folder="/", action=FastCgi(pool=POOL)),
    )
    filtering = RequestFiltering(
        hidden_segments=(f"x{nasty}",), file_extensions=Listing(entries=((f".{nasty}", False),))
    )
    place = Place(folder="/", settings=FolderSettings(request_filtering=filtering))
    plan = python_plan(*rules, places=(place,))

    judged = check(folders, render_site(folders.site(plan)))

    assert judged.returncode == 0, judged.stderr
