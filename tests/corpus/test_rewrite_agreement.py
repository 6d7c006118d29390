"""nginx and the specification on rules and requests that nobody thought of."""

from contextlib import ExitStack
from dataclasses import replace
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.webconfig.plan import PoolKind
from homeport.webconfig.rewriting.evaluate import evaluate
from node.nginx.running import POOL, Folders, fcgi_app, python_plan, running_nginx
from webconfig.sites import compiled

from .rewrite_cases import FILES, Case, Exchange, web_config
from .test_rewrite_nginx import answered, echo, host
from .test_rewrite_rules import request_of, shown

ATOMS = ["a", "b", ".", r"\w", r"\d", "[^/]", "[a-c]", "(?:ab)", "/", r"\.", "é", "(?!b)", "(?=a)"]
QUANTIFIERS = ["", "", "", "*", "+", "?", "*?", "{1,2}"]
PATHS = [
    "",
    "a",
    "b/c",
    "ab/ba",
    "static/app.css",
    "static",
    "static/",
    "A/B",
    "a.b",
    "x/1/2",
    "%C3%A9",
    "a%20b",
]
QUERIES = ["", "?a=1", "?a=b&c", "?", "?/static/app.css", "?..", "?%2e%2e", "?=A"]
TEXTS = [
    "{R:0}", "{R:1}", "{R:2}", "{C:0}", "{C:1}", "{C:2}", "{URL}", "{QUERY_STRING}", "{REQUEST_URI}", "{REQUEST_FILENAME}",
    "{HTTP_X_TEST}", "{HTTPS}", "{Map:{R:1}}", "{Exact:{C:1}}", "{ToLower:{R:0}}", "{UrlEncode:{URL}}",
    "{UrlDecode:{QUERY_STRING}}", "/", "/", "x", "?", "&", "$1", "http://h/", "static/app.css",
]  # fmt: skip


@st.composite
def patterns(draw: st.DrawFn) -> str:
    pieces = draw(st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(QUANTIFIERS)), max_size=4))
    text = "".join(
        atom + ("" if atom.startswith(("(?!", "(?=")) else quantifier) for atom, quantifier in pieces
    )
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(pieces)))
        parts = ["".join(map("".join, pieces[:cut])), "".join(map("".join, pieces[cut:]))]
        if not any("(?!" in part or "(?=" in part for part in parts):
            text = f"({parts[0]})({parts[1]})?"
    return draw(st.sampled_from(["", "^"])) + text + draw(st.sampled_from(["", "$"]))


def booleans(draw: st.DrawFn, *names: str) -> str:
    return "".join(f' {name}="{str(draw(st.booleans())).lower()}"' for name in names)


@st.composite
def rules(draw: st.DrawFn, number: int) -> str:
    text = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4).map("".join)
    syntax = draw(st.sampled_from(["ECMAScript", "ECMAScript", "ECMAScript", "Wildcard", "ExactMatch"]))
    pattern = patterns() if syntax == "ECMAScript" else st.sampled_from(["*", "*/*", "a*", "a", "b/c", "?"])
    conditions = ""
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            conditions += f"<add input={quoteattr(draw(text))} pattern={quoteattr(draw(pattern))}{booleans(draw, 'negate', 'ignoreCase')}/>"
        else:
            kind = draw(st.sampled_from(["IsFile", "IsDirectory"]))
            path = draw(
                st.sampled_from(["", "{REQUEST_FILENAME}", "{DOCUMENT_ROOT}/{R:0}", "{DOCUMENT_ROOT}{URL}"])
            )
            conditions += (
                f"<add input={quoteattr(path)} matchType={quoteattr(kind)}{booleans(draw, 'negate')}/>"
            )
    kind = draw(st.sampled_from(["Rewrite", "Rewrite", "Rewrite", "Redirect", "None", "CustomResponse"]))
    more = {"CustomResponse": 'statusCode="403"'}.get(kind, f"url={quoteattr(draw(text))}")
    grouping = draw(st.sampled_from(["MatchAll", "MatchAny"]))
    return (
        f'<rule name="{number}" patternSyntax="{syntax}"{booleans(draw, "stopProcessing")}>'
        f"<match url={quoteattr(draw(pattern))}{booleans(draw, 'negate', 'ignoreCase')}/>"
        f'<conditions logicalGrouping="{grouping}"{booleans(draw, "trackAllCaptures")}>{conditions}</conditions>'
        f'<action type="{kind}" {more}{booleans(draw, "appendQueryString")}/></rule>'
    )


MAPS = (
    '<rewriteMaps><rewriteMap name="Map" defaultValue="none"><add key="a" value="/mapped?a=b"/>'
    '<add key="b/c" value="x"/></rewriteMap><rewriteMap name="Exact" ignoreCase="false">'
    '<add key="a" value="small"/><add key="A" value="large"/></rewriteMap></rewriteMaps>'
)


@st.composite
def sections(draw: st.DrawFn) -> str:
    return MAPS + "".join(draw(rules(number)) for number in range(draw(st.integers(1, 4))))


requests = st.builds(
    lambda path, query: Exchange("GET", f"/{path}{query}", (("X-Test", "ab"),), ""),
    st.sampled_from(PATHS),
    st.sampled_from(QUERIES),
)


@pytest.mark.timeout(600)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(sections(), st.lists(requests, min_size=10, max_size=20)), min_size=20, max_size=20)
)
def test_nginx_agrees_with_the_specification(
    tmp_path_factory: pytest.TempPathFactory, sites: list[tuple[str, list[Exchange]]]
) -> None:
    folders = Folders(tmp_path_factory.mktemp("n"))
    for name, text in FILES.items():
        file = folders.content / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found = []
    for number, (section, exchanges) in enumerate(sites):
        case = Case(f"c{number}", web_config(section).encode(), tuple(exchanges))
        plan = compiled(case.web_config)
        pools = tuple(replace(pool, kind=PoolKind.PROGRAM) for pool in python_plan().pools)
        served = python_plan(rewriting=plan.rewriting, places=plan.places, pools=pools)
        found.append((case, plan, folders.site(served, name=case.name, hostnames=(host(case),))))
    with ExitStack() as stack:
        stack.enter_context(fcgi_app(folders.socket(POOL), echo))
        nginx = stack.enter_context(running_nginx(folders, *(site for _, _, site in found)))
        for case, plan, _ in found:
            for exchange in case.exchanges:
                outcome = shown(evaluate(plan.rewriting, request_of(exchange)))
                if outcome.startswith("pass ") and "web.config" in outcome:
                    continue
                assert answered(nginx, case, exchange) == outcome, (case.web_config.decode(), exchange)
