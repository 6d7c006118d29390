"""The door of a preview: who may come in, and what the application sees of the key."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from homeport.model.errors import Invalid
from homeport.node.nginx.http_pools import HttpEntrances
from homeport.node.nginx.preview_door import ENTRANCE, PreviewDoor
from homeport.node.nginx.server import render_site
from homeport.webconfig.plan import FastCgi, HostingPlan, HttpPool, ProxyToPool, Rule

from .running import (
    HOST,
    POOL,
    FcgiApp,
    Folders,
    Nginx,
    fcgi_app,
    http_app,
    python_plan,
    running_nginx,
    static_rule,
)
from .test_rewriting import rewriting
from .test_server import written

TOKEN = "Some-Token_that-nobody-could-guess-0123456"
NAME = "hello--preview-0a1b2c3d"
KEY = f"homeport_preview={TOKEN}"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def app(folders: Folders, stack: ExitStack) -> FcgiApp:
    return stack.enter_context(fcgi_app(folders.socket(POOL)))


def serve(folders: Folders, stack: ExitStack, plan: HostingPlan, **fields: object) -> Nginx:
    site = folders.site(plan, name=NAME, preview_token=TOKEN, **fields)
    return stack.enter_context(running_nginx(folders, site))


@pytest.fixture
def nginx(folders: Folders, stack: ExitStack, app: FcgiApp) -> Nginx:
    (folders.content / "static").mkdir()
    (folders.content / "static/a.css").write_text("a")
    plan = python_plan(Rule(folder="/", action=FastCgi(pool=POOL)), static_rule("/static/"))
    return serve(folders, stack, plan)


@pytest.mark.parametrize(
    ("path", "cookie"),
    [
        ("/", ""),
        ("/static/a.css", ""),
        ("/missing?token=" + TOKEN, ""),
        (ENTRANCE, ""),
        (f"{ENTRANCE}?token=", ""),
        (f"{ENTRANCE}?token={TOKEN}x", ""),
        (f"{ENTRANCE}?x=1&token={TOKEN}", ""),
        (f"{ENTRANCE}?token={TOKEN.swapcase()}", ""),
        ("/.homeport/preview-entered", ""),
        ("/.homeport/error", ""),
        ("/", "homeport_preview="),
        ("/", f"homeport_preview={TOKEN[:-1]}"),
        ("/", f"homeport_preview={TOKEN}x"),
        ("/", f"homeport_preview={TOKEN.swapcase()}"),
        ("/", f"x=homeport_preview={TOKEN}"),
        ("/", f"my_homeport_preview={TOKEN}"),
        ("/", f"__Host-homeport_preview={TOKEN}"),
    ],
)
def test_nobody_comes_in_without_the_key(path: str, cookie: str, nginx: Nginx, app: FcgiApp) -> None:
    answer = nginx.request(path, headers={"Cookie": cookie} if cookie else {})

    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert TOKEN not in answer.text
    assert not app.requests


def test_the_address_with_the_token_gives_the_cookie_and_leads_away_from_itself(
    nginx: Nginx, app: FcgiApp
) -> None:
    entered = nginx.request(f"{ENTRANCE}?token={TOKEN}")

    assert (entered.status, entered.headers["location"]) == (302, "/")
    assert entered.headers["referrer-policy"] == "no-referrer"
    cookie = entered.headers["set-cookie"]
    assert cookie == f"{KEY}; Path=/; HttpOnly; SameSite=Lax"
    assert not app.requests
    assert nginx.request("/", headers={"Cookie": cookie.partition(";")[0]}).text == "hello"
    assert nginx.request("/static/a.css", headers={"Cookie": KEY}).text == "a"


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (KEY, None),
        (f"{KEY}; a=b", "a=b"),
        (f"a=b; {KEY}", "a=b"),
        (f"a=b;{KEY};c=d", "a=b;c=d"),
        (f"a=b; {KEY}; c=d", "a=b; c=d"),
        (f"{KEY}; __Host-homeport_preview=of-https; a=b", "a=b"),
        (f"__Host-homeport_preview=of-https; a=b; {KEY}", "a=b"),
        (f"{KEY}; a=b; {KEY}; {KEY}", None),
        (f"a=homeport_preview_not; {KEY}", "a=homeport_preview_not"),
    ],
)
def test_the_application_gets_the_cookies_without_the_key(
    sent: str, seen: str | None, nginx: Nginx, app: FcgiApp
) -> None:
    assert nginx.request("/", headers={"Cookie": sent}).status == 200

    (request,) = app.requests
    assert request.params.get("HTTP_COOKIE") == seen
    assert TOKEN not in str(request.params)


def test_a_web_server_gets_the_cookies_without_the_key(folders: Folders, stack: ExitStack) -> None:
    heads = stack.enter_context(
        http_app(
            folders.socket("web"),
            lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
    )
    plan = python_plan(
        Rule(folder="/", action=ProxyToPool(pool="http-1")),
        http_pools=(HttpPool(id="http-1", requested="x", program=("x",)),),
    )
    entrances = HttpEntrances(
        servers={"http-1": (f"unix:{folders.socket('web')}",)}, activator=str(folders.socket("none"))
    )
    nginx = serve(folders, stack, plan, entrances=entrances)

    assert nginx.request("/", headers={"Cookie": f"a=b; {KEY}"}).status == 200
    assert nginx.request("/", headers={"Cookie": KEY}).status == 200

    assert b"Cookie: a=b\r\n" in heads[0]
    assert b"Cookie" not in heads[1]
    assert TOKEN.encode() not in b"".join(heads)


def test_rewrite_rules_come_behind_the_door(folders: Folders, stack: ExitStack, app: FcgiApp) -> None:
    rules = '<rules><rule name="all"><match url=".*"/><action type="Rewrite" url="/new"/></rule></rules>'
    nginx = serve(folders, stack, python_plan(rewriting=rewriting(rules)))

    assert nginx.request("/").status == 403
    assert nginx.request(f"{ENTRANCE}?token={TOKEN}").status == 302
    assert not app.requests
    assert nginx.request("/old", headers={"Cookie": f"a=b; {KEY}"}).status == 200
    (request,) = app.requests
    assert request.params["HTTP_COOKIE"] == "a=b"


def test_entering_and_being_refused_are_in_no_log(nginx: Nginx) -> None:
    visits = [(f"{ENTRANCE}?token={TOKEN}", ""), ("/", ""), ("/", KEY)]
    with contextlib.closing(nginx.connect()) as connection:  # one process of nginx, one buffer
        for path, cookie in visits:
            connection.request("GET", path, headers={"Host": HOST, "Cookie": cookie})
            connection.getresponse().read()

    assert [line[1] for line in written(nginx.folders, 1)] == ["200"]
    assert TOKEN not in nginx.folders.log.read_text()


def test_a_site_that_is_no_preview_has_nothing_of_it(folders: Folders) -> None:
    assert "preview" not in render_site(folders.site(python_plan()))


@pytest.mark.parametrize("token", ["short", "x" * 65, 'a"b' * 12, "a b" * 12, "a;b" * 12, "é" * 32])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(Invalid):
        PreviewDoor("hello", token)
