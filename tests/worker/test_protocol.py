"""FastCGI beyond what nginx sends, and bytes that are not FastCGI."""

import subprocess
from collections.abc import Callable
from random import Random

import pytest

from . import fcgi
from .fcgi import ABORT, BEGIN, GET_VALUES, PARAMS, STDIN, ask, begin, nginx_params, pairs, record, stream
from .workers import Worker

REQUEST = fcgi.request_bytes(nginx_params())
ALL_PARAMS = stream(PARAMS, pairs(nginx_params()))


def alive(plain: Worker) -> bool:
    return ask(plain.path).body == b"Hello, world!"


def test_the_reference_client_is_served(plain: Worker) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/echo",
        "QUERY_STRING": "",
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "text/plain",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    told = subprocess.run(
        ["cgi-fcgi", "-bind", "-connect", plain.path],
        env=environ,
        input=b"hello",
        capture_output=True,
        check=True,
    )

    assert told.stdout == b"Status: 200 OK\r\nX-Length: 5\r\nContent-Length: 5\r\n\r\nhello"


def test_the_number_of_the_request_is_kept(plain: Worker) -> None:
    answer = fcgi.exchange(plain.path, fcgi.request_bytes(nginx_params(), request=513))

    assert {request for _, request, _ in answer.records} == {513}
    assert answer.ends == [(513, 0)]


def test_keep_conn_is_answered_and_then_closed(plain: Worker) -> None:
    answer = fcgi.exchange(plain.path, fcgi.request_bytes(nginx_params(), flags=1))

    assert answer.body == b"Hello, world!"
    assert answer.ends == [(1, 0)]


def test_values_are_told(plain: Worker) -> None:
    asked = pairs({"FCGI_MAX_CONNS": "", "FCGI_MPXS_CONNS": "", "FCGI_MAX_REQS": "", "OTHER": ""})
    answer = fcgi.exchange(plain.path, record(GET_VALUES, asked, request=0) + REQUEST)

    assert answer.records[0][0] == fcgi.GET_VALUES_RESULT
    assert answer.records[0][2] == pairs(
        {"FCGI_MAX_CONNS": "1", "FCGI_MPXS_CONNS": "0", "FCGI_MAX_REQS": "1"}
    )
    assert answer.body == b"Hello, world!"


def test_an_unknown_management_record_is_named_back(plain: Worker) -> None:
    answer = fcgi.exchange(plain.path, record(77, b"?", request=0) + REQUEST)

    assert answer.records[0] == (fcgi.UNKNOWN, 0, bytes([77, 0, 0, 0, 0, 0, 0, 0]))
    assert answer.body == b"Hello, world!"


def test_another_role_is_refused(plain: Worker) -> None:
    with fcgi.connect(plain.path) as client:
        client.sendall(begin(role=2) + ALL_PARAMS)
        answer = fcgi.parse(client.recv(65536), fcgi.Answer())

    assert answer.ends == [(1, 3)]
    assert alive(plain)


def test_a_second_request_on_the_connection_is_refused(plain: Worker) -> None:
    data = (
        begin()
        + begin(request=2)
        + stream(PARAMS, b"", request=2)
        + ALL_PARAMS
        + begin(request=3)
        + record(STDIN)
    )
    answer = fcgi.exchange(plain.path, data)

    assert answer.ends[0] == (2, 1)
    assert (1, 0) in answer.ends
    assert answer.body == b"Hello, world!"


def test_a_request_withdrawn_in_its_parameters_is_ended(plain: Worker) -> None:
    with fcgi.connect(plain.path) as client:
        client.sendall(
            begin() + record(PARAMS, b"\1") + record(ABORT) + fcgi.request_bytes(nginx_params(), request=2)
        )
        answer = fcgi.receive(client)

    assert answer.ends == [(1, 0), (2, 0)]
    assert answer.body == b"Hello, world!"


def test_a_request_withdrawn_in_its_body_is_ended(plain: Worker) -> None:
    params = stream(PARAMS, pairs(nginx_params("POST", "/echo", CONTENT_LENGTH="9")))
    answer = fcgi.exchange(plain.path, begin() + params + record(STDIN, b"half") + record(ABORT))

    assert answer.ends == [(1, 0)]
    assert answer.stdout == b""


def test_data_and_foreign_records_are_passed_over(plain: Worker) -> None:
    data = (
        begin()
        + record(fcgi.DATA, b"data")
        + record(STDIN, b"x", request=9)
        + ALL_PARAMS
        + record(fcgi.DATA)
        + record(STDIN)
    )

    assert fcgi.exchange(plain.path, data).body == b"Hello, world!"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 64,
        b"\xff" * 64,
        record(BEGIN, b"\0\1\0\0\0\0\0\0", version=2),
        record(BEGIN, b"\0\1"),
        record(BEGIN, b"\0\1\0\0\0\0\0\0", request=0),
        begin() + begin(),
        begin() + record(STDIN, b"early"),
        begin() + record(PARAMS, b"\x80") + record(PARAMS) + record(STDIN),
        begin() + record(PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff") + record(PARAMS) + record(STDIN),
        begin() + record(PARAMS, b"\x7f\x7fshort") + record(PARAMS) + record(STDIN),
        begin() + record(PARAMS, b"\x05") + record(PARAMS) + record(STDIN),
        begin() + record(PARAMS, b"\1\1ab\1") + record(PARAMS) + record(STDIN),
        begin() + stream(PARAMS, b"\0" * ((1 << 20) + 2), size=65535) + record(STDIN),
    ],
)
def test_what_is_not_fastcgi_closes_the_connection_and_nothing_else(plain: Worker, data: bytes) -> None:
    try:
        answer = fcgi.exchange(plain.path, data)
    except (BrokenPipeError, ConnectionResetError):
        answer = fcgi.Answer()

    assert answer.stdout == b""
    assert alive(plain)


def test_cut_and_mutated_requests_never_end_the_worker(plain: Worker) -> None:
    """Bytes of good requests, changed and cut with a fixed seed; the worker may refuse or serve, and goes on."""
    random = Random(20170601)
    body = fcgi.request_bytes(nginx_params("POST", "/echo", CONTENT_LENGTH="30"), b"b" * 30)
    for _ in range(400):
        data = bytearray(random.choice((REQUEST, body)))
        for _ in range(random.randrange(1, 6)):
            data[random.randrange(min(len(data), 80) if random.random() < 0.7 else len(data))] = (
                random.randrange(256)
            )
        del data[random.randrange(len(data) // 2, 2 * len(data)) :]
        with fcgi.connect(plain.path) as client:
            client.sendall(data)
            client.shutdown(1)
            fcgi.receive(client)

    assert alive(plain)


def test_silence_holds_the_worker_only_until_the_peer_closes(
    plain: Worker, start: Callable[..., Worker]
) -> None:
    with fcgi.connect(plain.path) as client:
        client.sendall(begin())
        client.shutdown(1)
        assert fcgi.receive(client).records == []

    assert alive(plain)
