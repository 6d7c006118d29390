"""Rewrite rules that are written to do harm, and requests that try to."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.model.errors import Invalid
from homeport.node.nginx.http_pools import HttpEntrances
from homeport.node.nginx.server import render_site
from homeport.webconfig.plan import HttpPool, ProxyToPool, Rule
from homeport.webconfig.rewriting.rules import FolderRules
from webconfig.sites import compiled

from .running import POOL, Folders, Nginx, check, fcgi_app, python_plan, running_nginx, static_rule


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def rewriting(section: str) -> tuple[FolderRules, ...]:
    document = (
        f"<configuration><system.webServer><rewrite>{section}</rewrite></system.webServer></configuration>"
    )
    return compiled(document).rewriting


def serve(folders: Folders, stack: ExitStack, section: str) -> Nginx:
    stack.enter_context(fcgi_app(folders.socket(POOL)))
    plan = python_plan(rewriting=rewriting(section))
    return stack.enter_context(running_nginx(folders, folders.site(plan)))


def test_patterns_that_take_too_long_end_the_request_and_nothing_else(
    folders: Folders, stack: ExitStack
) -> None:
    patterns = [
        "(a+)+$",
        "^(a|a)*$",
        "^(a|aa)+$",
        "(.*)*x$",
        ".*.*.*.*[xy]$",
        "a*a*a*a*a*[xy]",
        "([a-z]+)([a-z]*)[0-9]",
        "(?=(a+))a*b\\1[xy]",
        "(a?){25}a{25}[xy]",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
    ]
    rules = "".join(
        f'<rule name="{at}"><match url={quoteattr(f"^{at}/")}/><conditions>'
        f'<add input="{{QUERY_STRING}}" pattern={quoteattr(pattern)} negate="true"/></conditions>'
        '<action type="Rewrite" url="/no"/></rule>'
        for at, pattern in enumerate(patterns)
    )
    nginx = serve(folders, stack, f"<rules>{rules}</rules>")

    for at in range(len(patterns)):
        statuses = {nginx.request(f"/{at}/?{'a' * size}!").status for size in (10, 40, 1900)}
        assert statuses <= {200, 500}, patterns[at]
        assert nginx.request("/quick").text == "hello"
    assert nginx.request(f"/0/?{'a' * 40}!").status == 500


def test_what_rules_use_inside_cannot_be_asked_for(folders: Folders, stack: ExitStack) -> None:
    action = '<action type="CustomResponse" statusCode="403" statusReason="&lt;b&gt;"/>'
    nginx = serve(folders, stack, f'<rules><rule name="1"><match url="^a$"/>{action}</rule></rules>')

    answered = nginx.request("/a")
    assert answered.status == 403
    assert "<h1>&lt;b&gt;</h1>" in answered.text
    assert nginx.request("/.homeport/respond/0").status == 404


def test_a_filtered_url_is_refused_before_a_rule_can_hide_it(folders: Folders, stack: ExitStack) -> None:
    action = '<action type="Rewrite" url="/app"/>'
    nginx = serve(folders, stack, f'<rules><rule name="1"><match url=".*"/>{action}</rule></rules>')

    assert nginx.request("/x").text == "hello"
    assert nginx.request("/web.config").status == 404
    assert nginx.request("/a/bin/x").status == 404


def test_a_link_is_no_file_to_a_rule(folders: Folders, stack: ExitStack) -> None:
    (folders.root / "secret.txt").write_text("secret")
    (folders.content / "link.txt").symlink_to(folders.root / "secret.txt")
    (folders.content / "file.txt").write_text("file")
    nginx = serve(
        folders,
        stack,
        '<rules><rule name="1"><match url=".*"/><conditions>'
        '<add input="{REQUEST_FILENAME}" matchType="IsFile"/></conditions>'
        '<action type="CustomResponse" statusCode="410"/></rule></rules>',
    )

    assert nginx.request("/file.txt").status == 410
    assert nginx.request("/link.txt").text == "hello"


hostile = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            '"; return 200 x; #',
            "}\n}",
            "$homeport_dollar",
            "${uri}$1",
            "\\",
            '\\\\"',
            "';",
            "default",
            "include",
            "hostnames",
            "volatile",
            "~^(?<homeport_hit>.*)$",
            "(*UTF8)(*LIMIT_MATCH=0)x",
            "a" * 900,
            "é" * 300,
            "{R:1}{C:1}{HTTP_A-B}{HTTP_" + "X" * 50 + "}",
            "{M:{R:0}}{ToLower:{UrlEncode:{URL}}}",
            "(?:a{0,9}){0,9}(b)[^\\]]\\/",
        ]
    ),
)
attribute = hostile.map(lambda text: quoteattr("".join(c if c.isprintable() else "" for c in text)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(*[attribute] * 7)
def test_no_value_changes_the_structure_of_the_configuration(
    folders: Folders, pattern: str, text: str, url: str, key: str, value: str, more: str, last: str
) -> None:
    section = (
        f'<rewriteMaps><rewriteMap name="m" defaultValue={more}><add key={key} value={value}/></rewriteMap>'
        f'<rewriteMap name="n" ignoreCase="false"><add key={key} value={value}/></rewriteMap></rewriteMaps>'
        f'<rules><rule name="1"><match url={pattern}/>'
        f'<conditions><add input={text} pattern={last} ignoreCase="false"/>'
        f'<add input={text} matchType="IsFile"/></conditions><action type="Rewrite" url={url}/></rule>'
        f'<rule name="2"><match url={last}/><action type="Redirect" url={url}/></rule>'
        '<rule name="3"><match url="x"/><action type="CustomResponse" statusCode="403" '
        f"statusReason={more} statusDescription={value}/></rule>"
        '<rule name="4"><match url="x"/><action type="Redirect" url="{m:{R:0}}{n:{R:0}}"/></rule></rules>'
        f'<outboundRules><rule name="5" preCondition="p"><match serverVariable="RESPONSE_X" pattern={pattern}/>'
        f'<action type="Rewrite" value={url}/></rule><rule name="6"><match serverVariable={more} pattern="x"/>'
        f'<action type="Rewrite" value="{{m:{{R:0}}}}"/></rule><preConditions><preCondition name="p">'
        f"<add input={text} pattern={last}/></preCondition></preConditions></outboundRules>"
    )
    try:
        rendered = render_site(folders.site(python_plan(rewriting=rewriting(section))))
    except Invalid:
        return
    result = check(folders, rendered)
    assert result.returncode == 0, result.stderr


def test_a_worker_learns_what_became_of_the_path(folders: Folders, stack: ExitStack) -> None:
    section = '<rules><rule name="1"><match url="^old/(.*)"/><action type="Rewrite" url="/new/{R:1}?b"/></rule></rules>'
    app = stack.enter_context(fcgi_app(folders.socket(POOL)))
    nginx = stack.enter_context(
        running_nginx(folders, folders.site(python_plan(rewriting=rewriting(section))))
    )

    nginx.request("/old/a%20b?a")

    (asked,) = app.requests
    names = ("URL", "PATH_INFO", "REQUEST_URI", "QUERY_STRING")
    assert [asked.params[name] for name in names] == ["/new/a b", "/old/a b", "/old/a%20b?a", "b&a"]


def test_files_are_served_at_rewritten_addresses(folders: Folders, stack: ExitStack) -> None:
    for name in ("pages/about.html", "docs/index.html"):
        (folders.content / name).parent.mkdir(parents=True, exist_ok=True)
        (folders.content / name).write_text(name)
    section = (
        '<rules><rule name="1" stopProcessing="true"><match url="^([a-z]+)$"/>'
        '<action type="Rewrite" url="pages/{R:1}.html"/></rule>'
        '<rule name="2"><match url="index"/><action type="CustomResponse" statusCode="410"/></rule></rules>'
    )
    plan = python_plan(static_rule(), rewriting=rewriting(section))
    nginx = stack.enter_context(running_nginx(folders, folders.site(plan)))

    assert nginx.request("/about").text == "pages/about.html"
    assert nginx.request("/none").status == 404
    # A default document is no new request: no rule sees it.
    assert nginx.request("/docs/").text == "docs/index.html"
    assert nginx.request("/docs/index.html").status == 410


class Echo(BaseHTTPRequestHandler):
    """Answers with the address and the headers that came."""

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, **dict(self.headers.items())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def test_a_web_server_gets_the_rewritten_address_and_the_headers_that_rules_set(
    folders: Folders, stack: ExitStack
) -> None:
    server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Echo))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    names = ("HTTP_X_LANGUAGE", "HTTP_TRANSFER_ENCODING", "HTTP_X_FORWARDED_PROTO")
    allowed = "".join(f'<add name="{name}"/>' for name in names)
    sets = "".join(f'<set name="{name}" value="{{R:1}}"/>' for name in names)
    section = (
        f"<allowedServerVariables>{allowed}</allowedServerVariables>"
        f'<rules><rule name="1" stopProcessing="true"><match url="^(en|de)/(.*)$"/>'
        f"<serverVariables>{sets}</serverVariables>"
        '<action type="Rewrite" url="pages/{R:2}?q=1"/></rule></rules>'
    )
    pool = HttpPool(id="http-1", requested="x", program=("x",))
    plan = python_plan(
        Rule(folder="/", action=ProxyToPool(pool="http-1")), http_pools=(pool,), rewriting=rewriting(section)
    )
    entrances = HttpEntrances(
        servers={"http-1": (f"127.0.0.1:{server.server_port}",)}, activator=str(folders.socket("a"))
    )
    nginx = stack.enter_context(running_nginx(folders, folders.site(plan, entrances=entrances)))

    answered = json.loads(nginx.request("/de/a%20b/%C3%A9?z", headers={"X-Language": "fr"}).body)
    assert answered["path"] == "/pages/a%20b/%C3%A9?q=1&z"
    assert answered["X-Language"] == "de"
    assert answered["X-Original-URL"] == "/de/a%20b/%C3%A9?z"
    assert answered["X-Forwarded-Proto"] == "http"
    assert "Transfer-Encoding" not in answered
    assert json.loads(nginx.request("/fr/x", headers={"X-Language": "fr"}).body)["X-Language"] == "fr"
