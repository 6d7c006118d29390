"""A site's servers on a real nginx: forwarding, streaming, errors, limits, the SCM site, TLS."""

import contextlib
import datetime
import os
import select
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from homeport.model.errors import Invalid
from homeport.node.nginx.access_log import FULL_FIELDS, METRIC_FIELDS, SEPARATOR
from homeport.node.nginx.forwarding import DROPPED_HEADERS
from homeport.node.nginx.main import render_certificates
from homeport.node.nginx.scm_server import ScmSites, scm_server
from homeport.node.nginx.server import render_site
from homeport.node.nginx.writer import render
from homeport.webconfig.plan import FastCgi, FastCgiPool, HostingPlan, PoolKind, Rule

from .running import (
    DEADLINE_SECONDS,
    HOST,
    POOL,
    SCM_HOST,
    Answer,
    FcgiApp,
    FcgiRequest,
    Folders,
    Nginx,
    fcgi_app,
    free_port,
    hello,
    http_app,
    python_plan,
    running_nginx,
)

Write = Callable[[bytes], None]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def serve(
    folders: Folders, stack: ExitStack, answer: Answer = hello, **fields: object
) -> tuple[Nginx, FcgiApp]:
    app = stack.enter_context(fcgi_app(folders.socket(POOL), answer))
    return stack.enter_context(running_nginx(folders, folders.site(python_plan(), **fields))), app


def wait_readable(clients: list[HTTPConnection], count: int) -> list[HTTPConnection]:
    """Wait until that many connections have something to read."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        ready, _, _ = select.select([client.sock for client in clients], [], [], DEADLINE_SECONDS)
        if len(ready) >= count:
            return [client for client in clients if client.sock in ready]
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def raw_answer(data: bytes) -> Answer:
    return lambda _request, write: write(data)


# What the application gets


def test_the_application_gets_the_request_and_little_else(folders: Folders, stack: ExitStack) -> None:
    nginx, app = serve(folders, stack)

    nginx.request(
        "/a%20b//c/../%C3%A9?x=1&y=%20", method="POST", body=b"body", headers={"Content-Type": "text/x"}
    )

    (request,) = app.requests
    port = str(folders.port)
    expected = {
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/a%20b//c/../%C3%A9?x=1&y=%20",
        "PATH_INFO": "/a b//é",
        "QUERY_STRING": "x=1&y=%20",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "4",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": HOST,
        "SERVER_PORT": port,
        "HTTPS": "",
        "HTTP_HOST": HOST,
    }
    assert {name: request.params.get(name) for name in expected} == expected
    others = {name for name in request.params if not name.startswith("HTTP_")} - expected.keys()
    assert others == {"REMOTE_PORT"}
    assert request.body == b"body"


def test_headers_that_only_a_platform_may_set_are_dropped(folders: Folders, stack: ExitStack) -> None:
    nginx, app = serve(folders, stack)
    spoofed = dict.fromkeys(DROPPED_HEADERS, "spoofed") | {
        name.upper(): "spoofed" for name in DROPPED_HEADERS
    }

    nginx.request("/", headers={**spoofed, "X-Mine": "mine", "Cookie": "a=b", "X-Forwarded-For": "192.0.2.1"})
    nginx.request("/", headers={name.replace("-", "_"): "spoofed" for name in DROPPED_HEADERS})

    kept, underscored = (request.params for request in app.requests)
    assert "spoofed" not in kept.values()
    assert not [name for name in kept if "X_MS_" in name or "X_ARR" in name or "PROXY" in name]
    assert (kept["HTTP_X_MINE"], kept["HTTP_COOKIE"], kept["HTTP_X_FORWARDED_FOR"]) == (
        "mine",
        "a=b",
        "192.0.2.1",
    )
    assert "spoofed" not in underscored.values()


def test_a_body_of_unknown_length_arrives_whole(folders: Folders, stack: ExitStack) -> None:
    nginx, app = serve(folders, stack)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [b"a" * 70_000, b"b"])

    nginx.raw(
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + chunks
        + b"0\r\n\r\n"
    )

    assert app.requests[0].body == b"a" * 70_000 + b"b"


def test_another_program_gets_what_iis_sends(folders: Folders, stack: ExitStack) -> None:
    program = FastCgiPool(id="php", kind=PoolKind.PROGRAM, requested="php-cgi.exe", program=("php-cgi",))
    plan = HostingPlan(
        rules=(Rule(folder="/", path="*.php", action=FastCgi(pool="php")),), pools=(program,), findings=()
    )
    app = stack.enter_context(fcgi_app(folders.socket("php")))
    nginx = stack.enter_context(running_nginx(folders, folders.site(plan)))

    nginx.request("/x/a.php?q", headers={"X-Original-URL": "/spoofed", "X-Forwarded-For": "192.0.2.1"})

    params = app.requests[0].params
    assert params["PATH_INFO"] == params["SCRIPT_NAME"] == params["URL"] == "/x/a.php"
    assert params["SCRIPT_FILENAME"] == params["PATH_TRANSLATED"] == "/home/site/wwwroot/x/a.php"
    assert (params["APPL_PHYSICAL_PATH"], params["DOCUMENT_ROOT"]) == (
        "/home/site/wwwroot/",
        "/home/site/wwwroot",
    )
    assert (params["HTTPS"], params["SERVER_PORT_SECURE"], params["CONTENT_LENGTH"]) == ("off", "0", "0")
    assert (params["REQUEST_URI"], params["HTTP_X_ORIGINAL_URL"]) == ("/x/a.php?q", "/x/a.php?q")
    assert params["HTTP_X_FORWARDED_FOR"] == f"192.0.2.1, 127.0.0.1:{params['REMOTE_PORT']}"
    assert (params["INSTANCE_META_PATH"], params["GATEWAY_INTERFACE"], params["AUTH_USER"]) == (
        *("/LM/W3SVC/1", "CGI/1.1", ""),
    )


# What the client gets


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 405, 413, 418, 500, 502, 503, 504])
def test_an_answer_of_the_application_is_never_replaced(
    status: int, folders: Folders, stack: ExitStack
) -> None:
    body = b"" if status == 204 else b"from the app"
    nginx, _ = serve(folders, stack, raw_answer(b"Status: %d Said So\r\nX-App: 1\r\n\r\n%s" % (status, body)))

    answer = nginx.request("/")

    assert (answer.status, answer.body, answer.headers["x-app"]) == (status, body, "1")
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    "header",
    ["X-Accel-Redirect: /secret.txt", "X-Accel-Limit-Rate: 1", "X-Accel-Charset: x", "X-Accel-Expires: 9"],
)
def test_orders_of_the_application_to_nginx_are_not_obeyed(
    header: str, folders: Folders, stack: ExitStack
) -> None:
    (folders.content / "secret.txt").write_text("secret")
    nginx, _ = serve(folders, stack, raw_answer(f"Status: 200 OK\r\n{header}\r\n\r\nbody".encode()))

    answer = nginx.request("/")

    assert (answer.status, answer.text) == (200, "body")
    assert not [name for name in answer.headers if name.startswith("x-accel")]


def test_a_streamed_piece_reaches_the_client_before_the_next_is_made(
    folders: Folders, stack: ExitStack
) -> None:
    go = threading.Event()

    def answer(_request: FcgiRequest, write: Write) -> None:
        write(b"Status: 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        write(b"data: 1\n\n")
        assert go.wait(DEADLINE_SECONDS)
        write(b"data: 2\n\n")

    nginx, _ = serve(folders, stack, answer)
    with contextlib.closing(nginx.connect()) as connection:
        connection.request("GET", "/", headers={"Host": HOST})
        response = connection.getresponse()
        assert response.read1() == b"data: 1\n\n"
        go.set()
        assert response.read() == b"data: 2\n\n"


def test_a_slow_client_does_not_hold_a_process(folders: Folders, stack: ExitStack) -> None:
    """The application is done with 30 MB, more than any socket holds, before the client has read a byte."""
    piece = b"x" * 65528

    def answer(_request: FcgiRequest, write: Write) -> None:
        write(b"Status: 200 OK\r\n\r\n")
        for _ in range(480):
            write(piece)

    nginx, app = serve(folders, stack, answer)
    with contextlib.closing(nginx.connect()) as connection:
        connection.request("GET", "/", headers={"Host": HOST})
        assert app.finished.wait(DEADLINE_SECONDS)
        assert len(connection.getresponse().read()) == 480 * len(piece)


def test_a_slow_upload_does_not_hold_a_process(folders: Folders, stack: ExitStack) -> None:
    nginx, app = serve(folders, stack)
    with socket.create_connection(("127.0.0.1", folders.port), timeout=DEADLINE_SECONDS) as client:
        client.sendall(f"POST /slow HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nabc".encode())
        assert nginx.request("/fast").status == 200
        assert [request.params["REQUEST_URI"] for request in app.requests] == ["/fast"]
        client.sendall(b"defghij")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_truncated_answer_looks_truncated(folders: Folders, stack: ExitStack) -> None:
    def answer(_request: FcgiRequest, write: Write) -> None:
        write(b"Status: 200 OK\r\n\r\npart of it")
        raise OSError("died")

    nginx, _ = serve(folders, stack, answer)

    received = nginx.raw(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())

    assert b"part of it" in received
    assert not received.endswith(b"0\r\n\r\n")


# What nginx answers by itself


def test_nobody_listening_is_503_and_tells_when_to_come_again(folders: Folders, stack: ExitStack) -> None:
    nginx = stack.enter_context(running_nginx(folders, folders.site(python_plan())))

    answer = nginx.request("/x.json", method="POST", body=b"x")

    assert (answer.status, answer.headers["retry-after"]) == (503, "10")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "homeport why hello" in answer.text
    assert "nginx" not in answer.text


def test_a_full_queue_is_503(folders: Folders, stack: ExitStack) -> None:
    """One request is in hand and two wait in a queue of length 1; at least five are turned away at once."""
    hold = threading.Event()

    def answer(request: FcgiRequest, write: Write) -> None:
        hold.wait(DEADLINE_SECONDS)
        hello(request, write)

    stack.enter_context(fcgi_app(folders.socket(POOL), answer, backlog=1))
    stack.callback(hold.set)
    nginx = stack.enter_context(running_nginx(folders, folders.site(python_plan())))
    clients = [stack.enter_context(contextlib.closing(nginx.connect())) for _ in range(8)]
    for client in clients:
        client.request("GET", "/", headers={"Host": HOST})

    refused = wait_readable(clients, 5)
    assert {client.getresponse().status for client in refused} == {503}
    hold.set()
    assert 200 in {client.getresponse().status for client in clients if client not in refused}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_process_that_dies_is_500_and_is_not_asked_again(
    method: str, folders: Folders, stack: ExitStack
) -> None:
    def answer(_request: FcgiRequest, _write: Write) -> None:
        raise OSError("died")

    nginx, app = serve(folders, stack, answer)

    failed = nginx.request("/", method=method)

    assert (failed.status, failed.headers.get("retry-after")) == (500, None)
    assert "homeport why hello" in failed.text
    assert len(app.requests) == 1


def test_a_body_over_the_limit_is_404_as_under_iis(folders: Folders, stack: ExitStack) -> None:
    nginx, app = serve(folders, stack, request_body_bytes=1000)

    assert nginx.request("/", method="POST", body=b"x" * 1000).status == 200
    refused = nginx.request("/", method="POST", body=b"x" * 1001)
    assert (refused.status, "larger" in refused.text) == (404, True)
    assert len(app.requests) == 1


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("TRACE / HTTP/1.1\r\nHost: {}\r\n\r\n", b"405"),
        ("GET / HTTP/1.1\r\nHost: {}\r\nX: " + "x" * 20_000 + "\r\n\r\n", b"400"),
        ("GET /" + "x" * 20_000 + " HTTP/1.1\r\nHost: {}\r\n\r\n", b"414"),
        ("GET /%00 HTTP/1.1\r\nHost: {}\r\n\r\n", b"400"),
        ("nonsense\r\n\r\n", b"400"),
    ],
)
def test_requests_that_no_site_should_see(
    request_text: str, status: bytes, folders: Folders, stack: ExitStack
) -> None:
    nginx, app = serve(folders, stack)

    received = nginx.raw(request_text.format(HOST).encode())

    assert received.split(b" ")[1] == status
    assert b"<center>nginx" not in received
    assert app.requests == []


@pytest.mark.parametrize(
    "host", ["other.localhost", "localhost", "127.0.0.1", f"x{HOST}", f"{HOST}.evil.example"]
)
def test_a_host_that_nobody_has_gets_a_page_that_says_so(
    host: str, folders: Folders, stack: ExitStack
) -> None:
    nginx, app = serve(folders, stack)

    answer = nginx.request("/a.css", host=host)

    assert (answer.status, "no site of this name" in answer.text) == (404, True)
    assert app.requests == []


def test_a_host_is_found_without_case_and_with_its_port(folders: Folders, stack: ExitStack) -> None:
    nginx, _ = serve(folders, stack)

    assert nginx.request("/", host=f"{HOST.upper()}:{folders.port}").text == "hello"


def test_a_stopped_site_says_so_and_its_scm_site_stays(folders: Folders, stack: ExitStack) -> None:
    nginx, app = serve(folders, stack, running=False)

    answer = nginx.request("/a.css")

    assert (answer.status, "This web app is stopped" in answer.text) == (403, True)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert app.requests == []
    assert nginx.request("/", host=SCM_HOST).status == 503


# The SCM site

YES = b"HTTP/1.1 200 OK\r\nX-Homeport-User: $hello\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NO = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="site"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
APP = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nscm"


def serve_scm(
    folders: Folders, stack: ExitStack, *, auth: bytes = YES, app: bytes = APP
) -> tuple[Nginx, list[bytes], list[bytes]]:
    asked = stack.enter_context(http_app(folders.socket("auth"), lambda _head: auth))
    reached = stack.enter_context(http_app(folders.socket("hello.scm"), lambda _head: app))
    return stack.enter_context(running_nginx(folders, folders.site(python_plan()))), asked, reached


def header(head: bytes, name: str) -> list[str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return [line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name.lower()}:")]


def test_the_scm_app_learns_who_is_there_and_no_password(folders: Folders, stack: ExitStack) -> None:
    nginx, asked, reached = serve_scm(folders, stack)

    answer = nginx.request(
        "/api/vfs/a%20b?x=1",
        host=SCM_HOST,
        method="PUT",
        body=b"content",
        headers={
            "Authorization": "Basic c2VjcmV0",
            "X-MS-CLIENT-PRINCIPAL-NAME": "spoofed",
            "X-Homeport-User": "spoofed",
            "X-Homeport-Site": "spoofed",
            "X-Forwarded-For": "192.0.2.1",
            "X-Real-IP": "192.0.2.1",
            "If-Match": "*",
        },
    )

    assert answer.text == "scm"
    (question,), (request,) = asked, reached
    assert question.startswith(b"GET /authorize HTTP/1.1\r\n")
    assert header(question, "Authorization") == ["Basic c2VjcmV0"]
    assert header(question, "X-Homeport-Site") == ["hello"]
    assert header(question, "X-Original-Method") == ["PUT"]
    assert header(question, "X-Original-URI") == ["/api/vfs/a%20b?x=1"]
    assert header(question, "X-Real-IP") == ["127.0.0.1"]
    assert header(question, "Content-Length") == []
    assert request.startswith(b"PUT /api/vfs/a%20b?x=1 HTTP/1.1\r\n")
    assert header(request, "Authorization") == []
    assert header(request, "X-MS-CLIENT-PRINCIPAL-NAME") == ["$hello"]
    assert header(request, "X-Forwarded-For") == header(request, "X-Real-IP") == ["127.0.0.1"]
    assert (header(request, "Host"), header(request, "If-Match")) == ([SCM_HOST], ["*"])
    assert b"spoofed" not in request


def test_a_stranger_is_asked_to_sign_in(folders: Folders, stack: ExitStack) -> None:
    nginx, _, reached = serve_scm(folders, stack, auth=NO)

    answer = nginx.request("/", host=SCM_HOST)

    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="site"')
    assert "Sign-in needed" in answer.text
    assert reached == []


def test_without_anybody_to_ask_nothing_is_let_through(folders: Folders, stack: ExitStack) -> None:
    reached = stack.enter_context(http_app(folders.socket("hello.scm"), lambda _head: APP))
    nginx = stack.enter_context(running_nginx(folders, folders.site(python_plan())))

    answer = nginx.request("/", host=SCM_HOST)

    assert (answer.status, answer.headers["retry-after"]) == (503, "10")
    assert reached == []


def test_the_question_itself_cannot_be_asked_from_outside(folders: Folders, stack: ExitStack) -> None:
    nginx, asked, _ = serve_scm(folders, stack)

    assert nginx.request("/.homeport/authorize", host=SCM_HOST).status == 404
    assert asked == []


@pytest.mark.parametrize("status", [400, 401, 404, 409, 412, 500, 502, 503])
def test_what_the_scm_app_answers_is_never_replaced(status: int, folders: Folders, stack: ExitStack) -> None:
    said = (
        b"HTTP/1.1 %d X\r\nX-Accel-Redirect: /x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsaid"
        % status
    )
    nginx, _, _ = serve_scm(folders, stack, app=said)

    answer = nginx.request("/", host=SCM_HOST)

    assert (answer.status, answer.text) == (status, "said")


def test_a_web_socket_is_passed_on(folders: Folders, stack: ExitStack) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframes"
    nginx, _, reached = serve_scm(folders, stack, app=switch)

    received = nginx.raw(
        f"GET /ws HTTP/1.1\r\nHost: {SCM_HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode()
    )

    assert received.startswith(b"HTTP/1.1 101")
    assert received.endswith(b"\r\n\r\nframes")
    assert (header(reached[0], "Upgrade"), header(reached[0], "Connection")) == (["websocket"], ["upgrade"])


def test_an_upgrade_to_anything_else_is_kept_from_the_scm_app(folders: Folders, stack: ExitStack) -> None:
    nginx, _, reached = serve_scm(folders, stack)

    received = nginx.raw(
        f"PUT /api/vfs/a.txt HTTP/1.1\r\nHost: {SCM_HOST}\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n"
        "Content-Length: 5\r\n\r\nhello".encode()
    )

    assert received.startswith(b"HTTP/1.1 200")
    assert header(reached[0], "Upgrade") == []


def test_an_scm_app_that_is_away_is_503_and_one_that_dies_is_500(folders: Folders, stack: ExitStack) -> None:
    stack.enter_context(http_app(folders.socket("auth"), lambda _head: YES))
    nginx = stack.enter_context(running_nginx(folders, folders.site(python_plan())))

    assert nginx.request("/", host=SCM_HOST).status == 503
    stack.enter_context(http_app(folders.socket("hello.scm"), lambda _head: b""))
    assert nginx.request("/", host=SCM_HOST).status == 500


def test_there_is_an_scm_site_for_each_site_and_for_nothing_else(folders: Folders, stack: ExitStack) -> None:
    nginx, asked, _ = serve_scm(folders, stack)

    assert nginx.request("/", host="HELLO.scm.localhost.").text == "scm"
    assert nginx.request("/", host="nobody.scm.localhost").status == 404
    assert len(asked) == 1


@pytest.mark.parametrize(
    "host",
    [
        "..scm.localhost",
        "../hello.scm.localhost",
        "hello/../hello.scm.localhost",
        "%2e%2e.scm.localhost",
        "hello.hello.scm.localhost",
        "hello.scm.localhost.evil",
        "hello.scmxlocalhost",
        "hello\\.scm.localhost",
        "-hello.scm.localhost",
        "_platform.scm.localhost",
        f"{'x' * 61}.scm.localhost",
        "hello.scm.localhost,evil",
        "hello.scm.localhost\x00",
        "$host.scm.localhost",
        ".scm.localhost",
    ],
)
def test_no_host_header_leads_anywhere_but_to_a_site(host: str, folders: Folders, stack: ExitStack) -> None:
    nginx, asked, reached = serve_scm(folders, stack)

    answer = nginx.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert (asked, reached) == ([], [])


def test_an_absolute_address_counts_more_than_the_host_header(folders: Folders, stack: ExitStack) -> None:
    nginx, asked, _ = serve_scm(folders, stack)
    head = f"GET http://nobody.localhost/ HTTP/1.1\r\nHost: {SCM_HOST}\r\nConnection: close\r\n\r\n"

    assert nginx.raw(head.encode()).startswith(b"HTTP/1.1 404")
    assert nginx.raw(head.replace("Connection", f"Host: {HOST}\r\nConnection").encode()).startswith(
        b"HTTP/1.1 400"
    )
    assert asked == []


@pytest.mark.parametrize("folder", ["/run/a:b", "relative", "/run/" + "x" * 50, "/run/$host"])
def test_a_folder_of_sockets_that_nginx_cannot_use_is_refused(folder: str) -> None:
    sites = ScmSites(sites_folder="/run/sites", sockets_folder=folder, auth_socket="/run/auth.sock")
    with pytest.raises(Invalid):
        render([scm_server(sites, "localhost", ())])


# What is written down


def written(folders: Folders, count: int) -> list[list[str]]:
    """Wait for that many lines; nginx writes them within a second."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(lines := folders.request_log.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, lines
        threading.Event().wait(0.02)
    return [line.split(SEPARATOR) for line in lines]


def test_each_request_is_a_line_that_no_client_can_break(folders: Folders, stack: ExitStack) -> None:
    nginx, _ = serve(folders, stack, request_log=str(folders.request_log))

    nginx.request("/ok?x=1", headers={"User-Agent": 'a "quoted" \\ b\t"', "Cookie": "c=é"})
    nginx.raw(f'GET /"|%0a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n'.encode())
    nginx.request("/", host="nobody.localhost")
    nginx.request("/", host="nobody.scm.localhost")
    nginx.request("/last")

    lines = [dict(zip(FULL_FIELDS, line, strict=True)) for line in written(folders, 3)]
    by_address = {
        line["request_uri"]: line for line in lines
    }  # each process of nginx writes its own when it likes
    assert by_address.keys() == {"/ok?x=1", r"/\x22|%0a", "/last"}
    first = by_address["/ok?x=1"]
    assert (first["server_name"], first["status"]) == (HOST, "200")
    assert first["upstream_addr"] == f"unix:{folders.socket(POOL)}"
    assert first["http_user_agent"] == r"a \x22quoted\x22 \x5C b\x09\x22"


def test_without_an_access_log_only_numbers_are_written(folders: Folders, stack: ExitStack) -> None:
    nginx, _ = serve(folders, stack)

    nginx.request("/secret?token=1", headers={"Authorization": "Basic c2VjcmV0"})

    (line,) = written(folders, 1)
    assert (line[:2], len(line)) == ([HOST, "200"], len(METRIC_FIELDS))
    assert "secret" not in folders.request_log.read_text()


def test_metrics_are_at_the_platforms_own_name_alone(folders: Folders, stack: ExitStack) -> None:
    reached = stack.enter_context(http_app(folders.socket("auth"), lambda _head: APP))
    app = stack.enter_context(fcgi_app(folders.socket(POOL)))
    nginx = stack.enter_context(running_nginx(folders, folders.site(python_plan())))

    answer = nginx.request("/metrics", host="localhost", headers={"Authorization": "Bearer x"})

    assert answer.text == "scm"
    assert header(reached[0], "Authorization") == ["Bearer x"]
    assert reached[0].startswith(b"GET /metrics HTTP")
    assert nginx.request("/", host="localhost").status == 404
    assert nginx.request("/metrics").text == "hello"
    assert (len(reached), len(app.requests)) == (1, 1)


# TLS


def certificate(path: Path, *names: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


def over_tls(
    folders: Folders,
    *,
    server_name: str,
    host: str,
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> bytes:
    assert folders.tls_port is not None
    context = ssl.create_default_context(cafile=str(folders.certificate))
    context.minimum_version, context.maximum_version = oldest, newest
    with (
        socket.create_connection(("127.0.0.1", folders.tls_port), timeout=DEADLINE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=server_name) as client,
    ):
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := client.recv(65536):
            received += piece
        return received


def serve_tls(folders: Folders, stack: ExitStack, **names: str) -> FcgiApp:
    """Serve HOST over TLS; `names` are file names of further certificates and the host they are for."""
    folders.tls_port, folders.certificate = free_port(), certificate(folders.root / "all.pem", HOST, SCM_HOST)
    files = {host: str(certificate(folders.root / f"{name}.pem", host)) for name, host in names.items()}
    (folders.root / "certificates.conf").write_text(render_certificates(files))
    return serve(folders, stack)[1]


def test_a_site_is_served_over_tls_with_the_certificate_of_all(folders: Folders, stack: ExitStack) -> None:
    app = serve_tls(folders, stack)

    assert over_tls(folders, server_name=HOST, host=HOST).endswith(b"hello\r\n0\r\n\r\n")
    assert (app.requests[0].params["HTTPS"], app.requests[0].params["SERVER_PORT"]) == (
        "on",
        str(folders.tls_port),
    )
    assert b"no site of this name" in over_tls(folders, server_name=HOST, host="other.localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        over_tls(folders, server_name="other.localhost", host=HOST)


def test_a_name_with_a_certificate_of_its_own_shows_that_one(folders: Folders, stack: ExitStack) -> None:
    serve_tls(folders, stack, own="www.example.org")
    folders.certificate = folders.root / "own.pem"

    assert b"no site of this name" in over_tls(folders, server_name="www.example.org", host="www.example.org")
    assert b"404" in over_tls(folders, server_name="WWW.EXAMPLE.ORG", host="www.example.org")
    with pytest.raises(ssl.SSLCertVerificationError):
        over_tls(folders, server_name=HOST, host=HOST)


def test_a_renewed_certificate_is_shown_without_a_reload(folders: Folders, stack: ExitStack) -> None:
    serve_tls(folders, stack, own="www.example.org")
    folders.certificate = certificate(folders.root / "own.pem", "www.example.org")

    assert b"404" in over_tls(folders, server_name="www.example.org", host="www.example.org")


@pytest.mark.parametrize(
    "server_name", ["x/all", "/etc/passwd", "a b", "$host", "data:x", "all.pem", "x." * 100 + "x"]
)
def test_no_name_given_to_tls_chooses_a_file(server_name: str, folders: Folders, stack: ExitStack) -> None:
    serve_tls(folders, stack)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    assert folders.tls_port is not None
    assert folders.certificate is not None

    with socket.create_connection(("127.0.0.1", folders.tls_port), timeout=DEADLINE_SECONDS) as plain:
        try:
            client = context.wrap_socket(plain, server_hostname=server_name)
        except (ssl.SSLError, ConnectionError):
            return  # refused for what it is
        with client:
            shown = ssl.DER_cert_to_PEM_cert(client.getpeercert(binary_form=True) or b"")
    assert shown.strip() in folders.certificate.read_text()


def test_plain_http_is_sent_to_https_where_the_owner_wants_it(folders: Folders, stack: ExitStack) -> None:
    folders.tls_port, folders.certificate = free_port(), certificate(folders.root / "all.pem", HOST)
    nginx, app = serve(folders, stack, https_only=True)

    answer = nginx.request("/a%20b/?x=%0d%0a1", method="POST", body=b"secret")

    assert answer.status == 301
    assert answer.headers["location"] == f"https://{HOST}:{folders.tls_port}/a%20b/?x=%0d%0a1"
    assert app.requests == []
    assert over_tls(folders, server_name=HOST, host=HOST).startswith(b"HTTP/1.1 200")


def test_old_tls_is_refused_where_the_owner_wants_it(folders: Folders, stack: ExitStack) -> None:
    folders.tls_port, folders.certificate = free_port(), certificate(folders.root / "all.pem", HOST)
    _, app = serve(folders, stack, minimum_tls="1.3")

    old = over_tls(folders, server_name=HOST, host=HOST, newest=ssl.TLSVersion.TLSv1_2)

    assert (old[:12], b"TLS 1.3 or newer" in old, app.requests) == (b"HTTP/1.1 403", True, [])
    assert over_tls(folders, server_name=HOST, host=HOST).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_that_is_broken_is_not_spoken_at_all(
    version: ssl.TLSVersion, folders: Folders, stack: ExitStack
) -> None:
    serve_tls(folders, stack)

    with pytest.raises(ssl.SSLError):
        over_tls(folders, server_name=HOST, host=HOST, oldest=version, newest=version)


def test_browsers_may_speak_http_2(folders: Folders, stack: ExitStack) -> None:
    serve_tls(folders, stack)
    assert folders.tls_port is not None
    context = ssl.create_default_context(cafile=str(folders.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])

    with (
        socket.create_connection(("127.0.0.1", folders.tls_port), timeout=DEADLINE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as client,
    ):
        assert client.selected_alpn_protocol() == "h2"


# Values


@pytest.mark.parametrize(
    "fields",
    [
        {"hostnames": ("a b",)},
        {"hostnames": ("*.localhost",)},
        {"hostnames": (".localhost",)},
        {"hostnames": ("~^x",)},
        {"hostnames": ("",)},
        {"hostnames": ("a;b",)},
        {"sockets": {POOL: "/run/a:b.sock"}},
        {"sockets": {POOL: "relative.sock"}},
        {"sockets": {POOL: "/run/" + "x" * 110}},
        {"sockets": {POOL: "/run/$host.sock"}},
        {"content_root": "/srv/a\nb"},
    ],
)
def test_values_that_nginx_would_take_for_something_else_are_refused(
    fields: dict[str, object], folders: Folders
) -> None:
    with pytest.raises(Invalid):
        render_site(folders.site(python_plan(), **fields))


def test_the_same_site_is_always_the_same_text(folders: Folders) -> None:
    site = folders.site(python_plan())

    assert render_site(site) == render_site(replace(site))


def test_two_sites_with_rules_live_side_by_side(folders: Folders, stack: ExitStack) -> None:
    plan = python_plan(Rule(folder="/", path="x", action=FastCgi(pool=POOL)))
    stack.enter_context(fcgi_app(folders.socket(POOL)))
    other = folders.site(plan, name="a-b", hostnames=("a-b.localhost",))
    nginx = stack.enter_context(running_nginx(folders, folders.site(plan), other))

    assert [nginx.request("/x", host=host).status for host in (HOST, "a-b.localhost")] == [200, 200]
    assert nginx.request("/y", host="a-b.localhost").status == 404


# Whoever runs it


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("user", "run_as"), [("www-data", None), (None, 65534)])
def test_it_runs_as_root_with_a_user_of_its_own_and_as_anybody(
    user: str | None, run_as: int | None, folders: Folders, stack: ExitStack
) -> None:
    folders.user, folders.run_as = user, run_as
    (folders.content / "a.txt").write_text("a")
    body = b"x" * 600_000
    app = stack.enter_context(fcgi_app(folders.socket(POOL)))
    folders.socket(POOL).chmod(0o666)
    folders.open_up()
    nginx = stack.enter_context(running_nginx(folders, folders.site(python_plan())))

    assert nginx.request("/", method="POST", body=body).status == 200
    assert app.requests[0].body == body


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_log_files_are_opened_anew_though_the_folder_of_its_own_log_is_closed(
    folders: Folders, stack: ExitStack
) -> None:
    folders.user = "www-data"
    folders.open_up()
    nginx = stack.enter_context(running_nginx(folders, folders.site(python_plan())))
    nginx.request("/")  # from then on it has written its number down
    folders.request_log.rename(folders.root / "old.log")
    os.kill(int((folders.root / "run/nginx.pid").read_text()), signal.SIGUSR1)

    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (folders.request_log.exists() and folders.request_log.read_text()):
        assert time.monotonic() < deadline
        nginx.request("/")  # written by the process that takes it, once that has opened the new file
    assert "[emerg]" not in folders.log.read_text()
