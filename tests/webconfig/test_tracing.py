"""The way of a request through a plan, with every reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.webconfig import ConfigurationTree, SiteFacts, compile_plan
from homeport.webconfig.tracing import Trace, TracedRequest, Verdict, trace_request
from webconfig.sites import compiled, configuration, handler, handlers, python_site

STATIC = 'modules="StaticFileModule" requireAccess="Read"'


def traced(*parts: str, target: str = "/", method: str = "GET", files: tuple[str, ...] = ()) -> Trace:
    plan = compiled(configuration(*parts) if parts else python_site())
    request = TracedRequest(method=method, target=target, is_file=files.__contains__)
    return trace_request(plan, request)


def why(trace: Trace) -> list[str]:
    return [f"{step.name}: {step.verdict}: {step.reason}" for step in trace.steps if step.kind == "handler"]


def test_a_handler_that_takes_everything_leaves_nothing_to_the_others() -> None:
    trace = traced(target="/any/thing?a=1")
    assert (trace.answer, trace.handler) == ("app", "PythonHandler")
    assert why(trace) == [
        "PythonHandler: taken: path '*' and any verb match",
        "OPTIONSVerbHandler: skipped: 'PythonHandler' took the request before it",
        "StaticFile: skipped: 'PythonHandler' took the request before it",
    ]
    assert [step.name for step in trace.steps if step.kind == "pool"] == [trace.pool]


def test_each_reason_not_to_take_a_request_is_told() -> None:
    trace = traced(
        handlers(
            handler("pages", path="*.php"),
            handler("posts", verb="POST,PUT"),
            handler("files", more=f'{STATIC} resourceType="File"'),
        ),
        target="/x",
    )
    assert why(trace)[:3] == [
        "pages: skipped: its path '*.php' does not match /x",
        "posts: skipped: it is for POST, PUT, not for GET",
        "files: skipped: it is for a file (resourceType), and there is nothing at /x",
    ]
    assert trace.answer == "404.0"


def test_places_are_those_of_the_configuration() -> None:
    step = next(step for step in traced().steps if step.name == "PythonHandler")
    assert (step.file, step.line) == ("web.config", 1)


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"": b"<configuration>\n<x>"}, ("web.config", 2)),
        ({"": b"<configuration/>", "static": b"<configuration>\n\n<x>"}, ("static/web.config", 3)),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    files: dict[str, bytes], place: tuple[str, int]
) -> None:
    plan = compile_plan(ConfigurationTree(files=files), SiteFacts(site="hello"))
    request = TracedRequest(method="GET", target="/static/a", is_file=frozenset[str]().__contains__)
    trace = trace_request(plan, request)

    assert trace.answer == "500.19"
    assert (trace.steps[-1].file, trace.steps[-1].line) == place


def test_what_is_filtered_out_is_told_with_its_reason() -> None:
    trace = traced(target="/bin/x.py")
    assert trace.answer == "404.8"
    assert [(step.verdict, step.reason) for step in trace.steps] == [
        (Verdict.REFUSED, "'bin' is hidden (hiddenSegments)")
    ]


@pytest.mark.parametrize(
    ("target", "path", "answer"),
    [
        ("/bin/../x", "/x", "app"),
        ("/a/./b/", "/a/b/", "app"),
        ("/a/b/..", "/a/", "app"),
        ("/%62in/x", "/bin/x", "404.8"),
        ("/a/%2e%2e/web.config", "/web.config", "404.8"),
        ("/../x", "/x", "400.0"),
        ("/a//b", "/a//b", "app"),
    ],
)
def test_dots_in_a_path_are_resolved_first(target: str, path: str, answer: str) -> None:
    trace = traced(target=target)
    assert (trace.path, trace.answer) == (path, answer)


def test_a_file_is_named() -> None:
    trace = traced(target="/a.css", files=("a.css",), method="GET")
    assert trace.answer == "app"
    bare = trace_request(
        compiled(None), TracedRequest(method="GET", target="/a.css", is_file=("a.css",).__contains__)
    )
    assert bare.answer == "file"
    assert bare.steps[-1].reason == "the file a.css is sent"


def test_rules_are_listed_with_the_path_they_make() -> None:
    rewrite = (
        '<system.webServer><rewrite><rules><rule name="no"><match url="^nothing$"/><action type="Rewrite" url="x"/></rule>'
        '<rule name="yes"><match url="^old/(.*)"/><action type="Rewrite" url="new/{R:1}"/></rule></rules></rewrite></system.webServer>'
    )
    trace = trace_request(compiled(python_site(rewrite)), TracedRequest(method="GET", target="/old/page"))
    assert [(step.name, step.verdict, step.reason) for step in trace.steps if step.kind == "rewrite"] == [
        ("no", Verdict.SKIPPED, "its pattern or conditions do not match /old/page"),
        ("yes", Verdict.TAKEN, "it matched; the path is now /new/page"),
    ]
    assert trace.path == "/new/page"
    assert trace.answer == "app"


@given(
    st.text(max_size=40),
    st.sampled_from(["GET", "POST", "OPTIONS", "", "X"]),
)
def test_any_request_can_be_followed(target: str, method: str) -> None:
    trace = trace_request(compiled(python_site()), TracedRequest(method=method, target=target))
    assert trace.answer
    assert trace.steps
