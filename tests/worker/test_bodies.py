"""Request bodies: de-framed, streamed, bounded."""

import json

import pytest

from . import fcgi
from .fcgi import PARAMS, STDIN, ask, begin, nginx_params, pairs, record, stream
from .workers import Worker

BODY = bytes(range(256)) * 40


@pytest.mark.parametrize("size", [1, 7, 8, 9, 100, 10240])
@pytest.mark.parametrize("padding", [0, 3, 255])
def test_a_body_is_the_same_however_it_is_framed(plain: Worker, size: int, padding: int) -> None:
    params = pairs(nginx_params("POST", "/echo", CONTENT_LENGTH=str(len(BODY))))
    data = begin() + stream(PARAMS, params, padding=padding) + stream(STDIN, BODY, size=size, padding=padding)
    answer = fcgi.exchange(plain.path, data)

    assert answer.body == BODY
    assert answer.headers["x-length"] == str(len(BODY))


@pytest.mark.parametrize("step", [1, 13, 8192])
def test_a_request_is_the_same_however_it_trickles_in(plain: Worker, step: int) -> None:
    body = BODY[:300] if step == 1 else BODY
    data = fcgi.request_bytes(nginx_params("POST", "/echo", CONTENT_LENGTH=str(len(body))), body)
    with fcgi.connect(plain.path) as client:
        for at in range(0, len(data), step):
            client.sendall(data[at : at + step])
        answer = fcgi.receive(client)

    assert answer.body == body


def test_parameters_may_come_in_many_records(plain: Worker) -> None:
    params = pairs(nginx_params(uri="/environ", HTTP_X_LONG="v" * 3000))
    for size in (1, 5, 1000):
        data = begin() + stream(PARAMS, params, size=size) + record(STDIN)
        assert json.loads(fcgi.exchange(plain.path, data).body)["HTTP_X_LONG"] == "v" * 3000


@pytest.mark.parametrize("size", [60000, 200000])
def test_long_parameters_are_taken(plain: Worker, size: int) -> None:
    data = (
        begin()
        + stream(PARAMS, pairs(nginx_params(uri="/environ", HTTP_X_LONG="v" * size)), size=65535)
        + record(STDIN)
    )

    assert json.loads(fcgi.exchange(plain.path, data).body)["HTTP_X_LONG"] == "v" * size


def test_a_gigabyte_passes_in_constant_memory(plain: Worker) -> None:
    total = 1 << 30
    piece = record(STDIN, bytes(32768)) * 32
    with fcgi.connect(plain.path) as client:
        client.sendall(
            begin() + stream(PARAMS, pairs(nginx_params("PUT", "/size", CONTENT_LENGTH=str(total))))
        )
        for _ in range(total >> 20):
            client.sendall(piece)
        client.sendall(record(STDIN))
        counted, peak_kilobytes = json.loads(fcgi.receive(client).body)

    assert counted == total
    assert peak_kilobytes < 200 * 1024


def test_the_stream_reads_lines_as_a_file_does(plain: Worker) -> None:
    body = b"one\ntwo\nthree\nfour\nfive\n\nlast"
    for size in (3, 1000):
        params = pairs(nginx_params("POST", "/lines", CONTENT_LENGTH=str(len(body))))
        answer = fcgi.exchange(plain.path, begin() + stream(PARAMS, params) + stream(STDIN, body, size=size))

        assert json.loads(answer.body) == [
            "one\n",
            "two",
            "\nt",
            "hree\n",
            "four\n",
            "five\n",
            "\n",
            "last",
            "",
        ]


@pytest.mark.parametrize("size", [10, 20000, 3000000])
def test_a_body_that_nobody_reads_does_not_hurt_the_answer(plain: Worker, size: int) -> None:
    answer = ask(plain.path, "/ignore", method="POST", body=b"x" * size)

    assert answer.status == "413 Content Too Large"
    assert answer.body == b"much"
    assert answer.ends == [(1, 0)]
    assert not answer.reset


def test_a_body_without_a_declared_length_is_read_to_its_end(plain: Worker) -> None:
    data = fcgi.request_bytes(nginx_params("POST", "/echo"), b"chunked")

    assert fcgi.exchange(plain.path, data).body == b"chunked"


def test_no_body_is_an_empty_stream_and_a_length_of_zero(plain: Worker) -> None:
    answer = ask(plain.path, "/echo", method="POST")

    assert answer.body == b""
    assert answer.headers["x-length"] == "0"


def test_a_client_that_leaves_inside_its_body_is_forgotten(plain: Worker) -> None:
    before = len(plain.reports)
    with fcgi.connect(plain.path) as client:
        params = pairs(nginx_params("POST", "/echo", CONTENT_LENGTH="100"))
        client.sendall(begin() + stream(PARAMS, params) + record(STDIN, b"half"))

    assert ask(plain.path).body == b"Hello, world!"
    assert len(plain.reports) == before
