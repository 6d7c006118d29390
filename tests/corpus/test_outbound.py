"""Outbound rules: each case, and rules made at random, against the specification and against a real nginx."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from homeport.node.nginx.server import SiteServer
from homeport.webconfig import HostingPlan
from homeport.webconfig.rewriting.evaluate import PassedOn, evaluate
from homeport.webconfig.rewriting.outbound import Answer, evaluate_outbound
from node.nginx.running import POOL, FcgiRequest, Folders, Nginx, fcgi_app, python_plan, running_nginx
from webconfig.sites import compiled

from .rewrite_cases import Exchange, read_exchange, read_sections, web_config
from .test_rewrite_agreement import MAPS, booleans, patterns
from .test_rewrite_rules import request_of

Headers = tuple[tuple[str, str], ...]
HOST = "shop.example"


@dataclass(frozen=True)
class Case:
    name: str
    plan: HostingPlan
    exchanges: tuple[tuple[Exchange, int, Headers, Headers], ...]


def read_cases() -> list[Case]:
    return [_read(path) for path in sorted((Path(__file__).parent / "outbound").glob("*.case"))]


def _read(path: Path) -> Case:
    root, folders, lines = read_sections(path.read_text())
    groups = zip(lines[::3], lines[1::3], lines[2::3], strict=True)
    found = []
    for request, said, expected in groups:
        status, *headers = said.removeprefix("<-").strip().split(" | ")
        wanted = expected.removeprefix("->").strip()
        found.append(
            (
                read_exchange(request, ""),
                int(status),
                _pairs(headers),
                _pairs(wanted.split(" | ") if wanted else []),
            )
        )
    return Case(path.stem, compiled(root, folders=folders), tuple(found))


def _pairs(parts: Sequence[str]) -> Headers:
    split = (part.partition(":") for part in parts)
    return tuple((name.strip(), value.strip()) for name, _, value in split)


def specified(plan: HostingPlan, exchange: Exchange, status: int, headers: Headers) -> list[tuple[str, str]]:
    request = request_of(replace(exchange, headers=(("Host", HOST), *exchange.headers)))
    outcome = evaluate(plan.rewriting, request)
    passed = request
    if isinstance(outcome, PassedOn):
        passed = replace(request, path=outcome.path, query=outcome.query)
    answer = Answer(status=status, headers=tuple((name, value.encode()) for name, value in headers))
    found = evaluate_outbound(plan.rewriting, passed, answer, asked=request.path)
    return shown((name, value.decode()) for name, value in found)


def shown(headers: "Iterator[tuple[str, str]] | Headers") -> list[tuple[str, str]]:
    """Names of headers know no case, and only the values of one name have an order."""
    ignored = {"server", "date", "connection", "content-length", "transfer-encoding", "retry-after", "vary"}
    pairs = ((name.lower(), value.strip()) for name, value in headers)
    return sorted((pair for pair in pairs if pair[0] not in ignored), key=lambda header: header[0])


def answering(request: FcgiRequest, write: Callable[[bytes], None]) -> None:
    """Answer with the status and the headers that the request asks for."""
    status, headers = json.loads(base64.b64decode(request.params["HTTP_X_ANSWER"]))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    write(f"Status: {status} Said\r\n{lines}\r\n".encode())


def asked(
    nginx: Nginx, host: str, exchange: Exchange, status: int, headers: Headers
) -> list[tuple[str, str]]:
    answer = base64.b64encode(json.dumps([status, headers]).encode()).decode()
    with closing(nginx.connect()) as connection:
        sent = {"Host": host, "X-Answer": answer, **dict(exchange.headers)}
        connection.request(
            exchange.method, exchange.target, headers={name: value.encode() for name, value in sent.items()}
        )
        response = connection.getresponse()
        response.read()
        assert response.status == status
        found = ((name, value.encode("latin-1").decode()) for name, value in response.getheaders())
        if "Content-Type" not in dict(headers):
            found = ((name, value) for name, value in found if name != "Content-Type")
        return shown(found)


def served(folders: Folders, name: str, plan: HostingPlan) -> SiteServer:
    plan = python_plan(rewriting=plan.rewriting, places=plan.places)
    return folders.site(plan, name=name, hostnames=(f"{name}.example",))


CASES = {case.name: case for case in read_cases()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_specification(case: Case) -> None:
    assert case.exchanges
    for exchange, status, headers, expected in case.exchanges:
        assert specified(case.plan, exchange, status, headers) == shown(expected), exchange


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folders = Folders(tmp_path_factory.mktemp("n"))
    sites = [served(folders, name.replace("_", "-"), case.plan) for name, case in CASES.items()]
    with ExitStack() as stack:
        stack.enter_context(fcgi_app(folders.socket(POOL), answering))
        yield stack.enter_context(running_nginx(folders, *sites))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_nginx_does_what_the_specification_says(case: Case, nginx: Nginx) -> None:
    host = f"{case.name.replace('_', '-')}.example"
    for exchange, status, headers, expected in case.exchanges:
        found = asked(nginx, host, exchange, status, headers)
        assert [(name, value.replace(host, HOST)) for name, value in found] == shown(expected), exchange


HEADERS = ["X-A", "X-B", "Set-Cookie", "Location"]
VALUES = ["", "a", "b", "ab/ba", "a.b", "é", "x; Secure", "a, b", "A", "http://h/a"]
TEXTS = [
    "{R:0}", "{R:1}", "{R:2}", "{C:0}", "{C:1}", "{C:2}", "{URL}", "{QUERY_STRING}", "{REQUEST_URI}", "{HTTP_X_TEST}",
    "{RESPONSE_X_A}", "{RESPONSE_X-B}", "{RESPONSE_SET_COOKIE}", "{RESPONSE_STATUS}", "{Map:{R:1}}", "{Exact:{C:1}}",
    "{ToLower:{R:0}}", "{UrlEncode:{URL}}", "{UrlDecode:{QUERY_STRING}}", "/", "x", "$1", "é", "\"; #",
]  # fmt: skip
text = st.lists(st.sampled_from(TEXTS), max_size=4).map("".join)


@st.composite
def conditions(draw: st.DrawFn) -> str:
    return "".join(
        f"<add input={quoteattr(draw(text))} pattern={quoteattr(draw(patterns()))}{booleans(draw, 'negate', 'ignoreCase')}/>"
        for _ in range(draw(st.integers(0, 2)))
    )


@st.composite
def sections(draw: st.DrawFn) -> str:
    rules = ""
    grouping = st.sampled_from(["MatchAll", "MatchAny"])
    for number in range(draw(st.integers(1, 4))):
        first = draw(st.sampled_from(["", ' preCondition="p"']))
        kind = draw(st.sampled_from(["Rewrite", "Rewrite", "Rewrite", "None"]))
        rules += (
            f'<rule name="{number}"{first}{booleans(draw, "stopProcessing")}>'
            f'<match serverVariable="RESPONSE_{draw(st.sampled_from(HEADERS))}" pattern={quoteattr(draw(patterns()))}'
            f"{booleans(draw, 'negate', 'ignoreCase')}/>"
            f'<conditions logicalGrouping="{draw(grouping)}"{booleans(draw, "trackAllCaptures")}>{draw(conditions())}'
            f'</conditions><action type="{kind}" value={quoteattr(draw(text))}{booleans(draw, "replace")}/></rule>'
        )
    precondition = (
        f'<preCondition name="p" logicalGrouping="{draw(grouping)}">{draw(conditions())}</preCondition>'
    )
    return f"{MAPS}<outboundRules>{rules}<preConditions>{precondition}</preConditions></outboundRules>"


answers = st.lists(st.tuples(st.sampled_from(HEADERS), st.sampled_from(VALUES)), max_size=4).map(
    lambda headers: (
        tuple(one for one in headers if one[0] != "Location")
        + tuple(one for one in headers if one[0] == "Location")[:1]
    )
)
targets = st.sampled_from(["/", "/a", "/A/b?a=b", "/x?a%0d%0aX-Evil:%201", "/%C3%A9?%00"])


@pytest.mark.timeout(600)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
@given(
    st.lists(
        st.tuples(sections(), st.lists(st.tuples(targets, answers), min_size=10, max_size=20)),
        min_size=20,
        max_size=20,
    )
)
def test_nginx_agrees_with_the_specification(
    tmp_path_factory: pytest.TempPathFactory, sites: list[tuple[str, list[tuple[str, Headers]]]]
) -> None:
    folders = Folders(tmp_path_factory.mktemp("n"))
    plans = [compiled(web_config(section)) for section, _ in sites]
    with ExitStack() as stack:
        stack.enter_context(fcgi_app(folders.socket(POOL), answering))
        running = [served(folders, f"c{number}", plan) for number, plan in enumerate(plans)]
        nginx = stack.enter_context(running_nginx(folders, *running))
        for number, (plan, (section, exchanges)) in enumerate(zip(plans, sites, strict=True)):
            for target, headers in exchanges:
                exchange = Exchange("GET", target, (("X-Test", "ab"),), "")
                found = asked(nginx, f"c{number}.example", exchange, 200, headers)
                assert found == specified(plan, exchange, 200, headers), (section, exchange, headers)


def test_patterns_that_take_too_long_leave_the_answer_as_it_is(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folders = Folders(tmp_path_factory.mktemp("n"))
    section = (
        '<outboundRules><rule name="1"><match serverVariable="RESPONSE_X-A" pattern="(a+)+$"/>'
        '<action type="Rewrite" value="never"/></rule></outboundRules>'
    )
    with ExitStack() as stack:
        stack.enter_context(fcgi_app(folders.socket(POOL), answering))
        nginx = stack.enter_context(
            running_nginx(folders, served(folders, "slow", compiled(web_config(section))))
        )
        exchange = Exchange("GET", "/", (), "")
        slow, quick = (("X-A", "a" * 3000 + "!"),), (("X-A", "aa"),)

        assert asked(nginx, "slow.example", exchange, 200, slow) == shown(slow)
        assert asked(nginx, "slow.example", exchange, 200, quick) == [("x-a", "never")]


def test_an_answer_with_very_many_cookies_is_left_as_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    folders = Folders(tmp_path_factory.mktemp("n"))
    rule = '<match serverVariable="RESPONSE_Set-Cookie" pattern="a"/><action type="Rewrite" value="{R:0}"/>'
    rules = "".join(f'<rule name="{at}">{rule}</rule>' for at in range(11))
    with ExitStack() as stack:
        stack.enter_context(fcgi_app(folders.socket(POOL), answering))
        plan = compiled(web_config(f"<outboundRules>{rules}</outboundRules>"))
        nginx = stack.enter_context(running_nginx(folders, served(folders, "many", plan)))
        cookies = tuple(("Set-Cookie", "b") for _ in range(95))

        assert asked(nginx, "many.example", Exchange("GET", "/", (), ""), 200, cookies) == shown(cookies)
