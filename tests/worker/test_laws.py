"""Laws of the pure parts, and of the two loops against each other."""

import io
import os
import re
import socket
import threading
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.worker import fastcgi
from homeport.worker.body import BodyStream
from homeport.worker.connection import ClientGone, Connection, output_buffers, receive
from homeport.worker.heads import Heads
from homeport.worker.plain_params import PlainParams
from homeport.worker.settings import environment_from, search_path_from
from homeport.worker.slot import private_slot

from . import fcgi
from .fcgi import begin, nginx_params, pairs, record, stream
from .workers import Worker, worker

LATIN = st.text(st.characters(max_codepoint=255), max_size=300)
PAIRS = st.dictionaries(LATIN, LATIN, max_size=30)


@given(PAIRS)
def test_pairs_come_back_as_they_were(values: dict[str, str]) -> None:
    assert fastcgi.parse_pairs(fastcgi.render_pairs(list(values.items()))) == values
    assert fastcgi.render_pairs(list(values.items())) == pairs(values)


@given(st.binary(max_size=200))
def test_any_bytes_are_pairs_or_refused(data: bytes) -> None:
    try:
        found = fastcgi.parse_pairs(data)
    except fastcgi.ProtocolError:
        return
    assert sum(len(name) + len(value) for name, value in found.items()) <= len(data)


@given(PAIRS, st.integers(0, 255))
def test_the_short_way_reads_what_the_long_way_reads(values: dict[str, str], padding: int) -> None:
    encoded = pairs(values)[:65535]
    data = begin() + record(fcgi.PARAMS, encoded, padding=padding) + record(fcgi.PARAMS) + record(fcgi.STDIN)
    env: dict[str, object] = {}
    end = PlainParams().read(data, env)

    try:
        expected = fastcgi.parse_pairs(encoded)
    except fastcgi.ProtocolError:
        assert not end
        return
    assert end == 0 or env == expected
    if all(len(name) < 128 for name in values):
        assert end == 24 + len(encoded) + padding


@given(st.binary(max_size=64))
def test_the_short_way_never_reads_malformed_parameters(content: bytes) -> None:
    data = begin() + record(fcgi.PARAMS, content) + record(fcgi.PARAMS) + record(fcgi.STDIN)
    env: dict[str, object] = {}
    end = PlainParams().read(data, env)

    if end:
        assert env == fastcgi.parse_pairs(content)


@given(st.binary(max_size=3000), st.integers(0, 400000), st.integers(1, 65535))
def test_output_records_hold_the_output(head: bytes, size: int, request_id: int) -> None:
    data = bytes(size)
    portions = output_buffers(request_id, head, data) if head or data else []
    answer = fcgi.parse(b"".join(bytes(buffer) for portion in portions for buffer in portion), fcgi.Answer())

    assert answer.stdout == head + data
    assert not answer.trailing
    assert all(content and request == request_id for _, request, content in answer.records)


@given(
    st.binary(max_size=2000).map(lambda data: data.replace(b"a", b"\n")),
    st.integers(1, 700),
    st.integers(0, 255),
    st.lists(st.tuples(st.sampled_from(["read", "readline"]), st.integers(0, 900)), max_size=12),
)
def test_a_body_reads_like_a_file(body: bytes, size: int, padding: int, calls: list[tuple[str, int]]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        feeder = threading.Thread(
            target=theirs.sendall, args=(stream(fcgi.STDIN, body, size=size, padding=padding),)
        )
        feeder.start()
        connection = Connection(ours, private_slot())
        connection.resume_body(1)
        found, expected = BodyStream(connection), io.BytesIO(body)
        for name, amount in calls:
            assert getattr(found, name)(amount) == getattr(expected, name)(amount)
        assert found.readlines() == expected.readlines()
        assert found.read() == b""
        feeder.join()


def test_silence_is_an_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ClientGone, match=r"silent for 0\.01 seconds"):
        receive(ours, 100, 0.01)


@given(st.lists(st.tuples(LATIN, LATIN), max_size=6))
def test_a_rendered_head_has_one_line_for_each_header(headers: list[tuple[str, str]]) -> None:
    try:
        lines, _, _ = Heads().render("200 OK", headers)
    except (ValueError, AssertionError):
        return
    assert lines.decode("latin-1").split("\r\n") == ["Status: 200 OK", *(f"{n}: {v}" for n, v in headers), ""]
    assert all(re.fullmatch(r"[!-~]+", name) for name, _ in headers)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5))))
def test_settings_always_make_an_environment(settings: list[tuple[str, str]]) -> None:
    for name, value in environment_from(settings).items():
        assert name == name.strip() or "\0" in "".join(name for name, _ in settings)
        assert "\0" not in name + value
        assert name
        assert "=" not in name


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        (";;", []),
        ("/a;/b", ["/a", "/b"]),
        ("%HOME%/a;%MISSING%;b c", ["/home/a", "b c"]),
        ("100%;%%", ["100%", "%%"]),
    ],
)
def test_search_path_entries(text: str, entries: list[str]) -> None:
    assert search_path_from([("pythonPATH", "/ignored"), ("PYTHONPATH", text)], {"HOME": "/home"}) == entries


# ---- one loop against the other


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    folders = [tmp_path_factory.mktemp(name) for name in ("pure", "compiled")]
    with (
        worker(folders[0], "anywhere.app", accelerator="off", instance_max_requests=10**9) as pure,
        worker(folders[1], "anywhere.app", accelerator="require", instance_max_requests=10**9) as compiled,
    ):
        yield [pure, compiled]


def said(running: Worker, data: bytes) -> tuple[object, ...]:
    with fcgi.connect(running.path) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        answer = fcgi.receive(client)
    return answer.records, answer.trailing


def mutated(random: Random) -> bytes:
    """A request as nginx sends it, with header values, framing and single bytes changed."""
    extra = {
        f"HTTP_X{index}": "v" * random.choice((0, 1, 126, 127, 128, 129, 600))
        for index in range(random.randrange(4))
    }
    for name in random.sample(sorted(nginx_params()), random.randrange(3)):
        extra[name] = random.choice(("", "on", "/a?b", "HEAD", "2001:db8::1", "\xe9", "0", "12", "x" * 1200))
    if random.random() < 0.2:
        extra["HTTP_X_FORWARDED_FOR"] = random.choice(("", "198.51.100.1", "x" * 990))
    if random.random() < 0.2:
        extra.update({"HTTP_CONTENT_TYPE": "a/b", "HTTP_CONTENT_LENGTH": "1"})
    body = b"b" * random.choice((0, 0, 1, 100, 20000))
    padding = random.choice((0, 0, 7))
    data = bytearray(
        begin(flags=random.choice((0, 0, 0, 1)))
        + stream(
            fcgi.PARAMS,
            pairs(nginx_params(**extra)),
            size=random.choice((65535, 65535, 100)),
            padding=padding,
        )
        + stream(fcgi.STDIN, body, size=random.choice((32768, 50)), padding=padding)
    )
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        data[random.randrange(min(len(data), random.choice((30, 100, 100000))))] = random.choice(
            (0, 1, 127, 128, 255, random.randrange(256))
        )
    if random.random() < 0.1:
        del data[random.randrange(len(data)) :]
    return bytes(data)


def test_both_loops_answer_every_request_alike(both: list[Worker]) -> None:
    """`HOMEPORT_FUZZ_SEED` and `HOMEPORT_FUZZ_COUNT` make this a longer search."""
    random = Random(int(os.environ.get("HOMEPORT_FUZZ_SEED", "2015")))
    for _ in range(int(os.environ.get("HOMEPORT_FUZZ_COUNT", "400"))):
        data = mutated(random)
        pure, compiled = (said(running, data) for running in both)
        assert pure == compiled, data


def test_both_loops_count_alike(both: list[Worker]) -> None:
    assert both[0].requests == both[1].requests > 0
