"""The header that tells the owner who took a request: for the owner alone."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from homeport.node.nginx.http_pools import HttpEntrances
from homeport.node.nginx.server import render_site
from homeport.node.nginx.trace_header import SETTING, trace_token
from homeport.webconfig.plan import FastCgi, HttpPool, ProxyToPool, Refuse, Rule
from webconfig.sites import compiled

from .running import POOL, Folders, Nginx, fcgi_app, free_port, python_plan, running_nginx, static_rule
from .test_rewriting import rewriting

TOKEN = "a-Token_of-the-owner1"
ASKS = {"X-Homeport-Trace": TOKEN}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def plan() -> "object":
    section = (
        '<rules><rule name="to; the=é&quot; app $1"><match url="^old/(.*)"/><action type="Rewrite" url="/new/{R:1}"/></rule>'
        '<rule name="gone" stopProcessing="true"><match url="^gone$"/>'
        '<action type="CustomResponse" statusCode="410" subStatusCode="7"/></rule>'
        '<rule name="away" stopProcessing="true"><match url="^away$"/><action type="Redirect" url="/x"/></rule></rules>'
    )
    handler = FastCgi(pool=POOL, handler="Python Handler", file="web.config", line=7)
    return python_plan(
        Rule(folder="/", action=handler),
        static_rule("/static/"),
        Rule(folder="/web/", action=ProxyToPool(pool="http-1", handler="web", file="web/web.config", line=3)),
        Rule(folder="/broken/", action=Refuse(status=500, sub_status=19, code="webconfig.locked")),
        http_pools=(HttpPool(id="http-1", requested="x", program=("x",)),),
        rewriting=rewriting(section),
    )


@pytest.fixture
def nginx(folders: Folders, stack: ExitStack) -> Nginx:
    (folders.content / "static").mkdir()
    (folders.content / "static/a.css").write_text("a")
    stack.enter_context(fcgi_app(folders.socket(POOL)))
    entrances = HttpEntrances(
        servers={"http-1": (f"127.0.0.1:{free_port()}",)}, activator=str(folders.socket("none"))
    )
    site = folders.site(plan(), entrances=entrances, trace_token=TOKEN)  # type: ignore[arg-type]
    return stack.enter_context(running_nginx(folders, site))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", f"answer=200; handler=Python Handler; at=web.config:7; pool={POOL}"),
        (
            "/old/x",
            f"answer=200; rule=to%3B the%3D%C3%A9%22 app $1; handler=Python Handler; at=web.config:7; pool={POOL}",
        ),
        ("/gone", "answer=410.7; rule=gone"),
        ("/away", "answer=301; rule=away"),
        ("/bin/x", "answer=404.8"),
        ("/static/a.css", "answer=200; handler=StaticFile"),
        ("/static/none.css", "answer=404; handler=StaticFile"),
        ("/web/", "answer=502.3; handler=web; at=web/web.config:3; pool=http-1"),
        ("/broken/", "answer=500.19; refused=webconfig.locked"),
    ],
)
def test_the_owner_learns_who_took_a_request(path: str, said: str, nginx: Nginx) -> None:
    assert nginx.request(path, headers=ASKS).headers["x-homeport-trace"] == said
    cookie = {"Cookie": f"other=1; homeport_trace={TOKEN}"}
    assert nginx.request(path, headers=cookie).headers["x-homeport-trace"] == said


@pytest.mark.parametrize(
    "token", ["", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), ".*", f"x{TOKEN}", f"{TOKEN},{TOKEN}"]
)
def test_nobody_else_does(token: str, nginx: Nginx) -> None:
    assert "x-homeport-trace" not in nginx.request("/", headers={"X-Homeport-Trace": token}).headers
    assert "x-homeport-trace" not in nginx.request("/", headers={"Cookie": f"homeport_trace={token}"}).headers


def test_a_site_without_a_token_is_configured_as_ever(folders: Folders) -> None:
    site = folders.site(compiled("<configuration/>"))

    assert "trace" not in render_site(site)
    assert "x-homeport-trace" in render_site(replace(site, trace_token=TOKEN)).lower()
    assert TOKEN not in repr(replace(site, trace_token=TOKEN))


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 129, 'a" "1"; return 200 x; # ', "(a+)+(a+)+(a+)+(a+)+", "é" * 20]
)
def test_a_setting_that_is_no_token_is_none(token: str) -> None:
    assert trace_token({SETTING: token}) == ""
    assert trace_token({SETTING.lower(): TOKEN}) == TOKEN
