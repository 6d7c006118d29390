"""What visitors see when a site's processes cannot be reached: the platform's page, or the site's own."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from homeport.node.nginx.http_pools import HttpEntrances
from homeport.node.request_accounting import NO_HTTP
from homeport.webconfig import HostingPlan
from homeport.webconfig.plan import FastCgi, HttpPool, ProxyToPool, Rule
from webconfig.sites import compiled, configuration

from .running import HOST, POOL, Folders, Nginx, Response, free_port, http_app, python_plan, running_nginx
from .test_server import written

PAGES = (
    '<error statusCode="502" subStatusCode="3" path="own502.html"/><error statusCode="503" path="own503.html"/>'
    '<error statusCode="500" path="own500.html"/>'
)
WEB_SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "a",
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def settings(errors: str, *more: str) -> HostingPlan:
    section = f"<system.webServer><httpErrors>{errors}</httpErrors>{''.join(more)}</system.webServer>"
    plan = compiled(configuration(section))
    assert not [finding for finding in plan.findings if finding.code != "webconfig.none"], plan.findings
    return plan


@contextmanager
def served_at(port: int) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = len(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(200, f"started {size}")

        def do_GET(self) -> None:
            self._answer(500, "no")

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serve(folders: Folders, stack: ExitStack, configured: HostingPlan, *, port: int = 0) -> Nginx:
    """A site whose only process, at a port where nobody listens, cannot be reached."""
    for status in (500, 502, 503):
        (folders.content / f"own{status}.html").write_text(f"own {status}")
    plan = python_plan(
        Rule(folder="/", action=ProxyToPool(pool="http-1")),
        http_pools=(HttpPool(id="http-1", requested="x", program=("x",)),),
        places=configured.places,
    )
    entrances = HttpEntrances(
        servers={"http-1": (f"127.0.0.1:{port or free_port()}",)},
        activator=str(folders.socket("a")),
        web_sockets=False,
    )
    return stack.enter_context(running_nginx(folders, folders.site(plan, entrances=entrances)))


def activated(folders: Folders, stack: ExitStack, status: int) -> None:
    """Let the activator answer so."""
    answer = f"HTTP/1.1 {status} Said\r\nContent-Length: 5\r\nConnection: close\r\n\r\nagent".encode()
    stack.enter_context(http_app(folders.socket("a"), lambda _: answer))


def seen(response: Response) -> tuple[int, str]:
    return response.status, response.text


def test_without_pages_of_its_own_a_site_that_does_not_start_is_502(
    folders: Folders, stack: ExitStack
) -> None:
    activated(folders, stack, 502)
    response = serve(folders, stack, settings("")).request("/")

    assert response.status == 502
    assert "could not be started" in response.text


@pytest.mark.parametrize("agent", [502, None])
def test_a_site_that_does_not_start_shows_its_own_page(
    agent: int | None, folders: Folders, stack: ExitStack
) -> None:
    if agent:
        activated(folders, stack, agent)
    headers = '<httpProtocol><customHeaders><add name="X-Own" value="1"/></customHeaders></httpProtocol>'
    nginx = serve(folders, stack, settings(PAGES, headers))

    response = nginx.request("/a/b", method="POST", body=b"x" * 100)
    assert seen(response) == (502, "own 502")
    assert response.headers["x-own"] == "1"
    assert seen(nginx.request("/", headers=WEB_SOCKET)) == (503, "own 503")


def test_an_offline_page_is_not_replaced(folders: Folders, stack: ExitStack) -> None:
    activated(folders, stack, 503)

    assert seen(serve(folders, stack, settings(PAGES)).request("/")) == (503, "agent")


def test_the_first_answer_after_a_start_is_as_any_other(folders: Folders, stack: ExitStack) -> None:
    """The process listens only when the activator has sent the request back."""
    headers = '<httpProtocol><customHeaders><add name="X-Own" value="1"/></customHeaders></httpProtocol>'
    port = free_port()

    def start(head: bytes) -> bytes:
        (location,) = re.findall(rb"x-homeport-back-to: (\S+)", head, re.IGNORECASE)
        stack.enter_context(served_at(port))
        return b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: " + location + b"\r\nContent-Length: 0\r\n\r\n"

    stack.enter_context(http_app(folders.socket("a"), start))
    nginx = serve(folders, stack, settings(PAGES, headers), port=port)

    first, second = nginx.request("/", method="POST", body=b"b" * 1000), nginx.request("/fails")
    assert (first.text, first.headers["x-own"]) == ("started 1000", "1")
    assert seen(second) == (500, "own 500")


def test_headers_without_pages_keep_the_words(folders: Folders, stack: ExitStack) -> None:
    headers = '<httpProtocol><customHeaders><add name="X-Own" value="1"/></customHeaders></httpProtocol>'
    response = serve(folders, stack, settings("", headers)).request("/")

    assert (response.status, response.headers["x-own"]) == (502, "1")
    assert "could not be started" in response.text


def test_an_error_may_lead_to_another_address(folders: Folders, stack: ExitStack) -> None:
    error = '<error statusCode="502" path="https://status.example/" responseMode="Redirect"/>'
    response = serve(folders, stack, settings(error)).request("/")

    assert (response.status, response.headers["location"]) == (302, "https://status.example/")


def test_an_error_page_that_is_made_by_the_application_that_is_away_ends(
    folders: Folders, stack: ExitStack
) -> None:
    error = '<error statusCode="502" path="/sorry" responseMode="ExecuteURL"/>'

    assert serve(folders, stack, settings(error)).request("/").status == 502


def test_detailed_errors_show_the_platforms_page(folders: Folders, stack: ExitStack) -> None:
    configured = compiled(
        configuration(
            f'<system.webServer><httpErrors errorMode="Detailed">{PAGES}</httpErrors></system.webServer>'
        )
    )

    assert "could not be started" in serve(folders, stack, configured).request("/").text


def test_a_fastcgi_pool_that_is_away_shows_the_sites_page_by_its_sub_status(
    folders: Folders, stack: ExitStack
) -> None:
    (folders.content / "own503.html").write_text("own 503")
    places = settings('<error statusCode="503" subStatusCode="0" path="own503.html"/>').places
    plan = replace(python_plan(Rule(folder="/", action=FastCgi(pool=POOL))), places=places)
    nginx = stack.enter_context(running_nginx(folders, folders.site(plan)))

    assert seen(nginx.request("/")) == (503, "own 503")


def test_an_answer_that_is_no_http_is_written_down_as_such(folders: Folders, stack: ExitStack) -> None:
    stack.enter_context(http_app(folders.socket("web"), lambda _head: b"no HTTP\n"))
    entrances = HttpEntrances(servers={"http-1": (f"unix:{folders.socket('web')}",)}, activator="/none")
    plan = python_plan(
        Rule(folder="/", action=ProxyToPool(pool="http-1")),
        http_pools=(HttpPool(id="http-1", requested="x", program=("x",)),),
    )
    nginx = stack.enter_context(running_nginx(folders, folders.site(plan, entrances=entrances)))

    # To the end: a client that goes away before is written down as such.
    assert nginx.raw(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()) == b"no HTTP\n"
    (line,) = written(folders, 1)
    assert line[1] == NO_HTTP
