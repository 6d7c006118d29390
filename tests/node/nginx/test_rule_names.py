"""Which rule each request is counted for: the word itself, and what a real nginx writes down."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.node.nginx.access_log import FULL_FIELDS, SEPARATOR
from homeport.node.nginx.rule_names import NOBODY, TAKEN_BY, RuleName, read_rule_name, rule_name
from homeport.node.nginx.rules import name_of
from homeport.node.nginx.server import render_site
from homeport.webconfig.plan import FastCgi, ProxyToPool, Refuse, Rule
from webconfig.sites import compiled, configuration, handler, handlers, settings

from .running import DEADLINE_SECONDS, HOST, POOL, Folders, fcgi_app, python_plan, running_nginx

NAMES = st.builds(RuleName, rule=st.text(min_size=1), folder=st.text(), pool=st.text(min_size=1, max_size=30))


# The word


@given(NAMES)
def test_a_name_is_a_short_word_that_ends_no_field(name: RuleName) -> None:
    word = name.written()

    assert re.fullmatch(r"[A-Za-z0-9/._~:*+,()%-]+(?: [A-Za-z0-9/._~:*+,()%-]+){2}", word)
    assert len(word) < 3000


@given(
    st.from_regex(r"[\w ./\"$\\;{}%#'=é-]{1,90}", fullmatch=True),
    st.from_regex(r"/[\w ./-]{0,90}", fullmatch=True),
)
def test_what_is_written_is_read_again(rule: str, folder: str) -> None:
    name = RuleName(rule=rule, folder=folder, pool="wsgi-1")

    assert read_rule_name(name.written()) == name


@pytest.mark.parametrize("word", ["", "-", "a b", "a b c d", "unix:/run/s/hello.wsgi-1.sock"])
def test_anything_else_is_nobody(word: str) -> None:
    assert read_rule_name(word) == NOBODY


def test_what_steers_a_terminal_is_not_shown() -> None:
    name = rule_name("handlers", "a\n\x9b31m\u202eb", folder="/")

    assert read_rule_name(name.written()).rule == "handlers/a??31m?b"


def test_long_names_are_cut() -> None:
    name = read_rule_name(rule_name("rewrite", "é" * 5000, folder=f"/{'x' * 5000}/").written())

    assert (len(name.rule), len(name.folder), name.rule[-1]) == (100, 100, "…")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            Rule(folder="/", handler="Python", action=FastCgi(pool="wsgi-1")),
            RuleName(rule="handlers/Python", folder="/", pool="wsgi-1"),
        ),
        (
            Rule(folder="/api/", handler="web", action=ProxyToPool(pool="http-1")),
            RuleName(rule="handlers/web", folder="/api/", pool="http-1"),
        ),
        (
            Rule(folder="/", handler="Old", action=Refuse(status=500, code="webconfig.unsupported-handler")),
            RuleName(rule="handlers/Old", folder="/", pool="static"),
        ),
        (
            Rule(folder="/a/", action=Refuse(status=500, sub_status=19, code="webconfig.locked")),
            RuleName(rule="web.config/webconfig.locked", folder="/a/", pool="static"),
        ),
        (
            Rule(folder="/", action=Refuse(status=404, sub_status=4)),
            RuleName(rule="handlers", folder="/", pool="static"),
        ),
    ],
)
def test_rules_have_the_names_of_web_config(rule: Rule, expected: RuleName) -> None:
    assert name_of(rule) == expected


def test_a_site_of_very_many_folders_has_no_location_for_each_of_their_rules(folders: Folders) -> None:
    def locations(count: int) -> int:
        rules = [
            Rule(folder=f"/{at}/", path="*.py", handler="Python", action=FastCgi(pool=POOL, handler="Python"))
            for at in range(count)
        ]
        return render_site(folders.site(python_plan(*rules))).count("location @homeport_rule_")

    assert (locations(20), locations(2000)) == (20, 1)


# nginx

ROOT = configuration(
    settings(WSGI_HANDLER="app.wsgi_app"),
    handlers(
        '<add name="Old" path="*.asp" verb="*" modules="IsapiModule"/>', handler("Main &quot;app&quot; $1; é")
    ),
    """<system.webServer>
    <rewrite><rules>
    <rule name="To the app"><match url="^old/(.*)"/><action type="Rewrite" url="/new/{R:1}"/></rule>
    <rule name="Gone" stopProcessing="true"><match url="^gone$"/>
      <action type="CustomResponse" statusCode="410"/></rule>
    <rule name="Elsewhere" stopProcessing="true"><match url="^away$"/>
      <action type="Redirect" url="/x"/></rule>
    <rule name="Cut off" stopProcessing="true"><match url="^cut$"/><action type="AbortRequest"/></rule>
    </rules></rewrite>
    <security><requestFiltering><requestLimits maxAllowedContentLength="10"/></requestFiltering></security>
    </system.webServer>
    <location path="moved"><system.webServer><httpRedirect enabled="true" destination="/there"/></system.webServer></location>
    <location path="closed"><system.webServer><security><ipSecurity allowUnlisted="false"/></security></system.webServer></location>
    """,
)
STATIC = configuration("""<system.webServer><handlers><clear/>
    <add name="Options" path="*" verb="OPTIONS" modules="ProtocolSupportModule" requireAccess="None"/>
    <add name="Files" path="*" verb="*" modules="StaticFileModule" resourceType="File" requireAccess="Read"/>
    </handlers></system.webServer>""")
MAIN = 'handlers/Main "app" $1; é'


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def taken(folders: Folders, count: int) -> dict[tuple[str, str], RuleName]:
    """Wait for that many lines; give the names by method and address."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(lines := folders.request_log.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, lines
        threading.Event().wait(0.02)
    found = [dict(zip(FULL_FIELDS, line.split(SEPARATOR), strict=True)) for line in lines]
    return {
        (each["request"].partition(" ")[0], each["request_uri"]): read_rule_name(each[TAKEN_BY.name])
        for each in found
    }


def test_each_request_is_counted_for_the_rule_that_took_it(folders: Folders, stack: ExitStack) -> None:
    (folders.content / "static").mkdir()
    (folders.content / "static/a.css").write_text("a")
    plan = compiled(ROOT, folders={"static": STATIC, "broken": "<configuration>"})
    (pool,) = plan.pools
    stack.enter_context(fcgi_app(folders.socket(pool.id)))
    site = folders.site(plan, request_log=str(folders.request_log))
    nginx = stack.enter_context(running_nginx(folders, site))
    app = RuleName(rule=MAIN, folder="/", pool=pool.id)
    expected = {
        ("GET", "/"): app,
        ("GET", "/old/x"): app,
        ("GET", "/x.asp"): RuleName(rule="handlers/Old", folder="/"),
        ("GET", "/gone"): RuleName(rule="rewrite/Gone", folder="/"),
        ("GET", "/away"): RuleName(rule="rewrite/Elsewhere", folder="/"),
        ("GET", "/moved/x"): RuleName(rule="httpRedirect", folder="/moved/"),
        ("GET", "/closed/"): RuleName(rule="ipSecurity"),
        ("GET", "/bin/x"): RuleName(rule="requestFiltering"),
        ("GET", "/static/a.css"): RuleName(rule="handlers/Files", folder="/static/"),
        ("GET", "/static/none.css"): RuleName(rule="handlers", folder="/static/"),
        ("OPTIONS", "/static/a.css"): RuleName(rule="handlers/Options", folder="/static/"),
        ("GET", "/broken/x"): RuleName(rule="web.config/webconfig.malformed", folder="/broken/"),
        ("TRACE", "/"): NOBODY,
    }
    for method, path in expected:
        nginx.request(path, method=method)
    nginx.request("/large", method="POST", body=b"x" * 11)
    with suppress(ConnectionResetError):
        nginx.raw(f"GET /cut HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())

    found = taken(folders, len(expected) + 2)
    assert found.pop(("POST", "/large")) == RuleName(rule="requestFiltering")
    assert found.pop(("GET", "/cut")) == RuleName(rule="rewrite/Cut off", folder="/")
    assert found == expected
