"""What an application says and what the web server gets: PEP 3333 over FastCGI."""

import json
import os
import socket
from collections.abc import Callable

import pytest

from . import fcgi
from .fcgi import ask
from .workers import Worker, wait_until

Start = Callable[..., Worker]


def test_a_whole_response_comes_as_one_record_and_its_end(plain: Worker) -> None:
    answer = ask(plain.path, "/hello")

    assert answer.head == ["Status: 200 OK", "Content-Type: text/plain", "Content-Length: 13"]
    assert answer.body == b"Hello, world!"
    assert [kind for kind, _, _ in answer.records] == [fcgi.STDOUT, fcgi.STDOUT, fcgi.END]
    assert answer.ends == [(1, 0)]
    assert not answer.trailing


def test_the_length_of_a_body_of_one_piece_is_told(plain: Worker) -> None:
    assert ask(plain.path, "/unsized").headers == {"content-type": "text/plain", "content-length": "13"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/parts", b"a" + b"b" * 100000 + b"c"),
        ("/sized_parts", b"abcdef"),
        ("/generator", b"one two three"),
        ("/late", b"late"),
        ("/empty", b""),
        ("/written", b"first second"),
        ("/file", b"f" * 700000),
        ("/surplus", b"abcd"),
        ("/short", b"abc"),
    ],
)
def test_every_kind_of_iterable_arrives_whole(plain: Worker, path: str, body: bytes) -> None:
    answer = ask(plain.path, path)

    assert answer.body == body
    assert answer.ends == [(1, 0)]


@pytest.mark.parametrize("size", [0, 1, 16383, 65527, 65528, 65529, 65535, 65536, 1000003, 40000000])
def test_bodies_of_any_size_arrive_whole(plain: Worker, size: int) -> None:
    answer = ask(plain.path, f"/big?{size}")

    assert len(answer.body) == size
    assert answer.body[:251] == bytes(range(251))[:size] or size < 251
    assert answer.ends == [(1, 0)]


def test_a_head_longer_than_a_record_is_split(plain: Worker) -> None:
    answer = ask(plain.path, "/many")

    assert len(answer.headers) == 2001
    assert answer.body == b"many"


@pytest.mark.parametrize(
    ("path", "closed"), [("/parts", "parts"), ("/sized_parts", "sized_parts"), ("/surplus", "surplus")]
)
def test_close_is_called(start: Start, path: str, closed: str) -> None:
    running = start()
    ask(running.path, path)

    assert json.loads(ask(running.path, "/facts").body)["closed"] == [closed]


def test_pieces_leave_at_once(plain: Worker) -> None:
    gate = str(plain.folder / "gate")
    with fcgi.connect(plain.path) as client:
        client.sendall(fcgi.request_bytes(fcgi.nginx_params(uri=f"/gate?{gate}")))
        first = client.recv(65536)
        open(gate, "w").close()
        rest = fcgi.receive(client)
    os.unlink(gate)

    assert first.endswith(b"\r\n\r\nbefore")
    assert rest.stdout == b"after"


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/hello", "13"),
        ("/unsized", "13"),
        ("/parts", None),
        ("/generator", None),
        ("/empty", None),
        ("/big?70000", "70000"),
    ],
)
def test_head_is_answered_with_the_head_alone(plain: Worker, path: str, length: str | None) -> None:
    answer = ask(plain.path, path, method="HEAD")

    assert answer.status == "200 OK"
    assert answer.headers.get("content-length") == length
    assert answer.body == b""
    assert answer.ends == [(1, 0)]


@pytest.mark.parametrize(
    ("path", "status"), [("/no_content", "204 No Content"), ("/not_modified", "304 Not Modified")]
)
def test_statuses_without_a_body_have_none(plain: Worker, path: str, status: str) -> None:
    answer = ask(plain.path, path)

    assert (answer.status, answer.body) == (status, b"")
    assert "content-length" not in answer.headers


def test_a_client_that_leaves_ends_the_iteration(start: Start) -> None:
    running = start()
    with fcgi.connect(running.path) as client:
        client.sendall(fcgi.request_bytes(fcgi.nginx_params(uri="/endless")))
        client.recv(100)

    assert json.loads(ask(running.path, "/facts").body)["closed"] == ["endless"]
    assert not running.reports


def test_exc_info_replaces_a_head_that_has_not_left(plain: Worker) -> None:
    answer = ask(plain.path, "/replaces")

    assert answer.status == "503 Service Unavailable"
    assert answer.headers == {"x-second": "2", "content-length": "8"}


@pytest.mark.parametrize("path", ["/raises_late", "/replaces_late"])
def test_a_failure_after_the_head_cuts_the_response_off(start: Start, path: str) -> None:
    running = start()
    answer = ask(running.path, path)

    assert answer.status == "200 OK"
    assert answer.ends == []
    assert answer.trailing == bytes(8)
    assert len(running.reports) == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/raises", "RuntimeError: secret of the application"),
        ("/exits", "SystemExit: leaving"),
        ("/twice", "AssertionError: start_response has already been called"),
        ("/never", "AssertionError: start_response has not yet been called"),
        ("/never_empty", "AssertionError: start_response has not yet been called"),
        ("/text", "TypeError: the application must yield bytes, not 'str'"),
        ("/no_such_function", "KeyError"),
    ],
)
def test_a_failure_before_the_head_is_a_plain_500(start: Start, path: str, reason: str) -> None:
    running = start()
    answer = ask(running.path, path + "?token=hidden", method="POST")

    assert answer.status == "500 Internal Server Error"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.stderr == b""
    [report] = running.reports
    assert report["id"].encode() in answer.body
    assert b"Traceback" not in answer.body
    assert b"secret" not in answer.body
    assert (report["kind"], report["method"], report["path"]) == ("request", "POST", path)
    assert reason in report["traceback"]
    assert reason in running.output.wait_for("StdErr: ")
    assert ask(running.path, "/hello").body == b"Hello, world!"


def test_a_failure_in_close_leaves_the_response_whole(start: Start) -> None:
    running = start()
    answer = ask(running.path, "/raises_in_close")

    assert (answer.status, answer.body, answer.ends) == ("200 OK", b"ok", [(1, 0)])
    running.output.wait_for("RuntimeError: on closing")


@pytest.mark.parametrize("path", ["/twice", "/late"])
def test_a_head_request_meets_the_same_errors(plain: Worker, path: str) -> None:
    assert ask(plain.path, path, method="HEAD").status[0] == ("5" if path == "/twice" else "2")


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200 OK", [["Connection", "close"]]),
        ("200 OK", [["TRANSFER-ENCODING", "chunked"]]),
        ("200 OK", [["Keep-Alive", "1"]]),
        ("200 OK", [["Status", "404"]]),
        ("200 OK", [["X-A", "b\r\nX-C: d"]]),
        ("200 OK", [["X-A", "b\nX-C: d"]]),
        ("200 OK", [["X-A", "b\rX-C: d"]]),
        ("200 OK", [["X-A", "b\0"]]),
        ("200 OK", [["X-A: b\r\nX-C", "d"]]),
        ("200 OK", [["X A", "b"]]),
        ("200 OK", [["", "b"]]),
        ("200 OK", [["X-A", "\u20ac"]]),
        ("200 OK", [["X-A", 5]]),
        ("200 OK", [["X-A", None]]),
        ("200 OK", [[5, "a"]]),
        ("200 OK", [["Content-Length", "many"]]),
        ("200 OK", [["Content-Length", "-1"]]),
        ("200 OK", [["X-A"]]),
        ("200 OK", [["X-A", "b", "c"]]),
        ("200 OK\r\nX-A: b", []),
        ("OK", []),
        ("2000", []),
        ("\u0662\u0660\u0660 OK", []),
        (200, []),
        (None, []),
    ],
)
def test_heads_that_may_not_leave_are_refused(plain: Worker, status: object, headers: object) -> None:
    answer = ask(plain.path, "/header", method="POST", body=json.dumps([status, headers]).encode())

    assert answer.status == "500 Internal Server Error"
    assert answer.body.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("status", "headers", "lines"),
    [
        ("404", [], ["Status: 404"]),
        ("200 Caf\u00e9", [["X-A", "\u00e9"]], ["Status: 200 Caf\u00e9", "X-A: \u00e9"]),
        ("200 ", [["X-A", ""]], ["Status: 200 ", "X-A: "]),
        (
            "200 OK",
            [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]],
            ["Status: 200 OK", "Set-Cookie: a=1", "Set-Cookie: b=2"],
        ),
        ("200 OK", [["content-length", "4"]], ["Status: 200 OK", "content-length: 4"]),
    ],
)
def test_heads_leave_as_the_application_wrote_them(
    plain: Worker, status: str, headers: list[list[str]], lines: list[str]
) -> None:
    answer = ask(plain.path, "/header", method="POST", body=json.dumps([status, headers]).encode())

    assert [line for line in answer.head if line != "Content-Length: 4"] == lines
    assert answer.body == b"sent"


def test_headers_of_bytes_are_taken_as_wfastcgi_takes_them(plain: Worker) -> None:
    assert ask(plain.path, "/byte_headers").headers == {
        "x-bytes": "taken",
        "x-clatin": "caf\xe9",
        "content-length": "4",
    }


def test_a_write_kept_from_another_request_reaches_nobody(start: Start) -> None:
    running = start()
    assert ask(running.path, "/keeps").body == b"kept"

    assert ask(running.path, "/uses").body == b"Hello, world!"


def test_wsgiref_has_nothing_to_say_against_it(plain: Worker) -> None:
    assert ask(plain.path, "/validated?a=b", HTTP_COOKIE="c=d").status == "200 OK"
    body = b"first\nsecond\nthird\n" * 1000
    typed = {
        "CONTENT_TYPE": "text/plain",
        "HTTP_CONTENT_TYPE": "text/plain",
        "HTTP_CONTENT_LENGTH": str(len(body)),
    }
    assert ask(plain.path, "/validated_body", method="POST", body=body, **typed).body == body


def test_the_scoreboard_tells_what_is_in_hand(start: Start) -> None:
    from homeport.worker import scoreboard as layout

    running = start()
    assert running.field(layout.READY_AT_OFFSET) > 0
    assert running.field(layout.PID_OFFSET, 4) == running.process.pid
    gate = str(running.folder / "gate")
    with fcgi.connect(running.path) as client:
        client.sendall(fcgi.request_bytes(fcgi.nginx_params(uri=f"/gate?{gate}")))
        client.recv(100)
        busy = (
            running.state,
            running.url,
            running.field(layout.REQUEST_STARTED_OFFSET) > 0,
            running.requests,
        )
        open(gate, "w").close()
        fcgi.receive(client)
    wait_until(lambda: running.state == layout.IDLE)

    assert busy == (layout.BUSY, f"GET /gate?{gate}", True, 0)
    assert (running.requests, running.field(layout.REQUEST_STARTED_OFFSET)) == (1, 0)
    assert running.field(layout.LAST_ACTIVITY_OFFSET) > running.field(layout.READY_AT_OFFSET)


def test_a_long_address_is_cut_in_the_scoreboard(start: Start) -> None:
    running = start()
    ask(running.path, "/hello?" + "a" * 1000)

    assert running.url == ("GET /hello?" + "a" * 1000)[:448]


def test_a_connection_without_a_request_is_no_request(plain: Worker) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(plain.path)

    assert ask(plain.path).body == b"Hello, world!"
