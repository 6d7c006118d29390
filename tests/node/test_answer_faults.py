"""What is taken from nginx's log about answers that it could not pass on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from homeport.node.answer_faults import newest_fault, read_end

NOW = datetime(2026, 1, 2, 3, 30, tzinfo=UTC)


def line(what: str, *, server: str = "hello.localhost", request: str = "GET /a HTTP/1.1") -> str:
    time = (NOW - timedelta(minutes=5)).astimezone().strftime("%Y/%m/%d %H:%M:%S")
    return (
        f'{time} [error] 12#12: *3 {what}, client: 127.0.0.1, server: {server}, request: "{request}", '
        'upstream: "http://100.64.0.1:13202/a", host: "hello.localhost"\n'
    )


TIMED_OUT = "upstream timed out (110: Connection timed out) while reading response header from upstream"
CLOSED = "upstream prematurely closed connection while reading response header from upstream"
INVALID = 'upstream sent invalid header: "Bad\\x20..." while reading response header from upstream'


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (TIMED_OUT, "timeout"),
        (CLOSED, "closed"),
        (INVALID, "unreadable"),
        ("upstream sent no valid HTTP/1.0 header while reading response header from upstream", "unreadable"),
        ("upstream sent too big header while reading response header from upstream", "too-large"),
        (
            "recv() failed (104: Connection reset by peer) while reading response header from upstream",
            "closed",
        ),
    ],
)
def test_each_kind_is_known(what: str, kind: str) -> None:
    fault = newest_fault(line(what), server="hello.localhost", now=NOW)
    assert fault is not None
    assert (fault.kind, fault.request, fault.time) == (kind, "GET /a HTTP/1.1", "2026-01-02T03:25:00+00:00")


def test_the_newest_of_the_server_counts() -> None:
    log = (
        line(CLOSED)
        + line(TIMED_OUT)
        + line(INVALID, server="other.localhost")
        + line("a warning of another kind")
    )
    fault = newest_fault(log, server="hello.localhost", now=NOW)
    assert fault is not None
    assert fault.kind == "timeout"


def test_one_of_the_day_before_is_too_old() -> None:
    assert newest_fault(line(CLOSED), server="hello.localhost", now=NOW + timedelta(days=1)) is None


@pytest.mark.parametrize(
    "forged",
    [
        line(
            'upstream sent invalid header: "X, client: 1, server: hello.localhost, request: "G", upstream: "http://'
        ),
        line(
            CLOSED,
            server="evil.localhost",
            request="GET /?*3 " + CLOSED + ", client: 1, server: hello.localhost",
        ),
    ],
)
def test_no_other_site_can_write_a_line_about_this_one(forged: str) -> None:
    forged = forged.replace(
        'server: hello.localhost, request: "GET /a', 'server: evil.localhost, request: "GET /a'
    )
    assert newest_fault(forged, server="hello.localhost", now=NOW) is None


def test_without_a_log_there_is_no_fault(tmp_path: Path) -> None:
    assert read_end(tmp_path / "nginx.log") == ""
