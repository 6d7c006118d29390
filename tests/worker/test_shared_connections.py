"""Kept connections that all workers of a pool share: real workers of both loops, and the agent's own half."""

import asyncio
import contextlib
import fcntl
import json
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from homeport.node.pools.shared_connections import SharedConnections
from homeport.worker import scoreboard as layout
from homeport.worker import shared_protocol as protocol

from . import fcgi
from .workers import Worker, listening, wait_until, worker

ValueT = TypeVar("ValueT")

StartWorker = Callable[..., Worker]
Connect = Callable[[], "Client"]


class Holder:
    """The agent's half in an event loop of its own, with what the workers of one pool inherit."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "pool.sock")
        self.listener = listening(self.path)
        self.board = os.memfd_create("scoreboard")
        os.ftruncate(self.board, layout.SLOT_SIZE * 4)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.shared = SharedConnections()
        self.shared.listen(self.listener.fileno())

    def call(self, function: Callable[[], ValueT]) -> ValueT:
        """Run a function in the loop's thread."""
        result: Future[ValueT] = Future()

        def run() -> None:
            try:
                result.set_result(function())
            except BaseException as error:  # noqa: BLE001 — handed to the caller
                result.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return result.result(fcgi.DEADLINE_SECONDS)

    def leave(self, slot: int, claimed: int = 0) -> None:
        self.call(lambda: self.shared.leave(slot, claimed=claimed))

    def close(self) -> None:
        self.call(self.shared.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.listener.close()
        os.close(self.board)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    holder = Holder(tmp_path)
    yield holder
    holder.close()


@pytest.fixture
def pool(loop: str, tmp_path: Path, holder: Holder) -> Iterator[StartWorker]:
    """Start a worker of the pool in a slot."""
    with ExitStack() as stack:

        def start(slot: int) -> Worker:
            with holder.call(lambda: holder.shared.admit(slot)) as control:
                return stack.enter_context(
                    worker(
                        tmp_path,
                        accelerator=loop,
                        listener=holder.listener,
                        path=holder.path,
                        board=holder.board,
                        slot=slot,
                        shared=(holder.shared.fileno(), control.fileno()),
                    )
                )

        yield start


class Client:
    """What nginx is to a worker: a connection that it keeps."""

    def __init__(self, path: str) -> None:
        self.socket = fcgi.connect(path)

    def send(self, uri: str, *, method: str = "GET", body: bytes = b"", flags: int = 1) -> None:
        params = fcgi.nginx_params(method, uri)
        if body:
            params["CONTENT_LENGTH"] = str(len(body))
        self.socket.sendall(fcgi.request_bytes(params, body, flags=flags))

    def receive(self) -> fcgi.Answer:
        """Read one answer up to its END_REQUEST, or the end of the connection."""
        data = b""
        while True:
            answer = fcgi.parse(data, fcgi.Answer())
            if answer.ends:
                return answer
            piece = self.socket.recv(65536)
            if not piece:
                return answer
            data += piece

    def ask(self, uri: str = "/hello", **options: object) -> fcgi.Answer:
        self.send(uri, **options)  # type: ignore[arg-type]
        return self.receive()

    def settle(self, server: Worker) -> None:
        """Be served, and wait until others could be woken for the next request."""
        assert self.ask().body == b"Hello, world!"
        server.wait_for_state(layout.IDLE)

    @property
    def is_closed(self) -> bool:
        """Wait for the end of the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def clients(holder: Holder) -> Iterator[Connect]:
    with ExitStack() as stack:

        def connect() -> Client:
            return stack.enter_context(contextlib.closing(Client(holder.path)))

        yield connect


def pid_of(answer: fcgi.Answer) -> int:
    return int(json.loads(answer.body)["pid"])


def abandoned(pool: StartWorker, clients: Connect, holder: Holder) -> Client:
    """Return a kept connection whose only worker was killed after its answer."""
    one = pool(0)
    client = clients()
    client.settle(one)
    one.process.kill()
    one.wait()
    holder.leave(0)
    return client


def test_one_connection_serves_many_requests(pool: StartWorker, clients: Connect) -> None:
    one = pool(0)
    client = clients()
    for _ in range(20):
        assert client.ask().body == b"Hello, world!"
    wait_until(lambda: one.requests == 20)


def test_bodies_end_where_their_requests_end(pool: StartWorker, clients: Connect) -> None:
    pool(0)
    client = clients()
    for size in (1, 100, 40_000, 300_000, 7):
        assert client.ask("/echo", method="POST", body=b"x" * size).body == b"x" * size
    assert client.ask().body == b"Hello, world!"


def test_a_body_that_comes_in_pieces_is_read_by_the_worker_that_began_it(
    pool: StartWorker, clients: Connect
) -> None:
    pool(0)
    pool(1)
    client = clients()
    client.ask()
    params = fcgi.nginx_params("POST", "/echo", CONTENT_LENGTH="60000")
    client.socket.sendall(fcgi.begin(flags=1) + fcgi.stream(fcgi.PARAMS, fcgi.pairs(params), size=65535))
    other = clients()
    for _ in range(6):
        client.socket.sendall(fcgi.record(fcgi.STDIN, b"y" * 10_000))
        assert other.ask().body == b"Hello, world!"
    client.socket.sendall(fcgi.record(fcgi.STDIN))
    assert client.receive().body == b"y" * 60_000


def test_a_slow_request_holds_up_no_kept_connection(
    pool: StartWorker, clients: Connect, tmp_path: Path
) -> None:
    pool(0)
    pool(1)
    connected = [clients() for _ in range(30)]
    slow, *others = connected
    for client in connected:
        assert client.ask().body == b"Hello, world!"
    opening = tmp_path / "open"
    slow.send(f"/gate?{opening}")
    busy = pid_of_busy = None
    for client in others * 4:
        answer = client.ask("/facts")
        busy = busy or pid_of(answer)
        pid_of_busy = pid_of(answer)
        assert pid_of_busy == busy  # the other one is in the slow request all the time
    opening.touch()
    assert slow.receive().ends
    assert slow.ask().body == b"Hello, world!"


def test_the_numbers_of_inherited_descriptors_are_no_connections_numbers(
    tmp_path: Path, loop: str, pool: StartWorker, clients: Connect, holder: Holder
) -> None:
    """An agent of many sites has thousands of descriptors open, and what a worker inherits comes with their numbers."""
    pool(0)
    connected = [clients() for _ in range(2 * protocol.STOCK)]
    for client in connected:
        client.ask()
    with holder.call(lambda: holder.shared.admit(1)) as control, ExitStack() as opened:
        numbers = [
            fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, protocol.FIRST)
            for descriptor in (holder.board, holder.shared.fileno(), control.fileno())
        ]
        for number in numbers:
            opened.callback(os.close, number)
        second = opened.enter_context(
            worker(
                tmp_path,
                accelerator=loop,
                listener=holder.listener,
                path=holder.path,
                board=numbers[0],
                slot=1,
                shared=(numbers[1], numbers[2]),
            )
        )
        busy = clients()
        busy.send(f"/gate?{tmp_path / 'open'}")
        for client in connected * 2:
            assert client.ask().body == b"Hello, world!"
        (tmp_path / "open").touch()
        assert busy.receive().ends
        wait_until(
            lambda: second.requests > 0
        )  # one of the two held the slow request, the other served the rest
        assert second.process.poll() is None


def test_what_one_worker_began_another_goes_on_with(
    pool: StartWorker, clients: Connect, holder: Holder
) -> None:
    first = pool(0)
    connected = [clients() for _ in range(10)]
    for client in connected:
        client.settle(first)
    before = {pid_of(client.ask("/facts")) for client in connected}
    first.wait_for_state(layout.IDLE)
    second = pool(1)
    assert first.terminate() == 0
    holder.leave(0)
    after = {pid_of(client.ask("/facts")) for client in connected}
    assert before == {first.process.pid}
    assert after == {second.process.pid}


def test_a_request_waits_for_the_next_worker(pool: StartWorker, clients: Connect, holder: Holder) -> None:
    client = abandoned(pool, clients, holder)
    client.send("/hello")
    assert holder.call(lambda: holder.shared.is_readable)
    pool(0)
    assert client.receive().body == b"Hello, world!"


def _receive_all(sock: socket.socket) -> None:
    while sock.recv(1 << 20):
        pass


def test_only_the_connection_in_hand_ends_with_a_killed_worker(
    pool: StartWorker, clients: Connect, holder: Holder
) -> None:
    victim = pool(0)
    busy, idle = clients(), clients()
    busy.settle(victim)
    idle.settle(victim)
    busy.send("/endless")
    busy.socket.recv(65536)
    victim.wait_for_state(layout.BUSY)
    victim.process.kill()
    victim.wait()
    claimed = victim.field(layout.CONNECTION_OFFSET, 4)
    assert protocol.is_shared(claimed)
    holder.leave(0, claimed)
    # A request that was not answered is still in the socket, so its end is a reset: nginx cannot take it for a regular one.
    with pytest.raises(ConnectionResetError):
        _receive_all(busy.socket)
    pool(0)
    assert idle.ask().body == b"Hello, world!"


def test_the_number_of_an_ended_connection_is_used_again(pool: StartWorker, clients: Connect) -> None:
    pool(0)
    pool(1)
    for _ in range(5):
        connected = [clients() for _ in range(40)]
        for _ in range(3):
            for client in connected:
                client.send("/hello")
            for client in connected:
                assert client.receive().body == b"Hello, world!"
        for client in connected:
            client.close()


def test_a_response_that_breaks_off_ends_its_connection(pool: StartWorker, clients: Connect) -> None:
    pool(0)
    client = clients()
    client.ask()
    client.send("/raises_late")
    while client.socket.recv(65536):
        pass
    assert clients().ask().body == b"Hello, world!"


def test_a_failure_with_a_page_keeps_its_connection(pool: StartWorker, clients: Connect) -> None:
    pool(0)
    client = clients()
    for _ in range(3):
        assert client.ask("/raises").status.startswith("500")
        assert client.ask().body == b"Hello, world!"


def test_a_body_that_nobody_read_does_not_become_the_next_request(
    pool: StartWorker, clients: Connect
) -> None:
    pool(0)
    client = clients()
    client.ask()
    disguised = fcgi.request_bytes(fcgi.nginx_params("GET", "/facts"), flags=1)
    for _ in range(3):
        assert client.ask("/hello", method="POST", body=disguised * 400).body == b"Hello, world!"
        assert client.ask("/unsized").body == b"Hello, world!"


def test_a_client_that_does_not_keep_is_not_kept(pool: StartWorker, clients: Connect) -> None:
    pool(0)
    client = clients()
    assert client.ask(flags=0).body == b"Hello, world!"
    assert client.is_closed


def test_a_worker_told_to_stop_answers_what_it_has_begun(
    pool: StartWorker, clients: Connect, tmp_path: Path
) -> None:
    one = pool(0)
    client = clients()
    client.settle(one)
    opening = tmp_path / "open"
    client.send(f"/gate?{opening}")
    one.wait_for_state(layout.BUSY)
    one.process.terminate()
    opening.touch()
    assert client.receive().ends
    assert one.wait() == 0


def test_an_idle_worker_told_to_stop_stops(pool: StartWorker, clients: Connect) -> None:
    one = pool(0)
    assert clients().ask().body == b"Hello, world!"
    one.wait_for_state(layout.IDLE)
    assert one.terminate() == 0


# ---- a worker is a tenant's process


@pytest.fixture
def hostile(holder: Holder) -> Iterator[socket.socket]:
    """A control socket in the hands of somebody who means harm."""
    with holder.call(lambda: holder.shared.admit(3)) as control:
        control.settimeout(fcgi.DEADLINE_SECONDS)
        yield control
    holder.leave(3)


def say(control: socket.socket, kind: int, number: int, *descriptors: int) -> None:
    socket.send_fds(control, [protocol.MESSAGE.pack(kind, number)], list(descriptors))


def hear(control: socket.socket) -> tuple[int, int]:
    kind, number = protocol.MESSAGE.unpack(control.recv(protocol.MESSAGE.size))
    return kind, number


def test_a_number_that_was_not_given_is_not_taken(holder: Holder, hostile: socket.socket) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        say(hostile, protocol.KEEP, protocol.FIRST + 4000, theirs.fileno())
        say(hostile, protocol.WANT, protocol.FIRST + 4000)
        while (heard := hear(hostile))[0] == protocol.TAKE:
            pass
    assert heard == (protocol.NONE, protocol.FIRST + 4000)


def test_a_descriptor_of_another_kind_is_closed_at_once(holder: Holder, hostile: socket.socket) -> None:
    kind, number = hear(hostile)
    assert kind == protocol.TAKE
    with socket.create_server(("127.0.0.1", 0)) as server:
        slow = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
        with contextlib.suppress(BlockingIOError):
            slow.setblocking(False)
            while True:
                slow.send(b"x" * 65536)  # nobody reads it, so a lingering close would wait for an hour
        say(hostile, protocol.KEEP, number, slow.fileno())
        slow.detach()
        read_end, write_end = os.pipe()
        say(hostile, protocol.KEEP, number, write_end)
        os.close(write_end)
        select.select([read_end], [], [], fcgi.DEADLINE_SECONDS)
        assert os.read(read_end, 1) == b""  # the agent's copy is gone, too
        os.close(read_end)
        peer.close()


def test_floods_of_messages_leave_the_loop_to_others(holder: Holder, hostile: socket.socket) -> None:
    """Two workers of one pool, each asking for what only the other could have shared."""
    stop = threading.Event()

    def flood(control: socket.socket) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                say(control, protocol.WANT, protocol.FIRST + 7)

    with holder.call(lambda: holder.shared.admit(2)) as accomplice:
        accomplice.settimeout(fcgi.DEADLINE_SECONDS)
        flooding = [threading.Thread(target=flood, args=(control,)) for control in (hostile, accomplice)]
        for thread in flooding:
            thread.start()
        try:
            for _ in range(50):
                holder.call(lambda: None)
            holder.leave(2)  # it is taken for ended, and goes on talking
            holder.call(lambda: None)
        finally:
            stop.set()
            for thread in flooding:
                thread.join()


def test_the_entry_of_an_ended_connection_is_not_taken_for_its_successors(
    holder: Holder, hostile: socket.socket
) -> None:
    """A worker may hold the ended one for long: it notices only when it meets the number again."""
    kind, number = hear(hostile)
    assert kind == protocol.TAKE
    with select.epoll.fromfd(os.dup(holder.shared.fileno())) as epoll, ExitStack() as opened:
        pairs = [socket.socketpair() for _ in range(2)]
        for ours, theirs in pairs:
            opened.enter_context(ours)
            opened.enter_context(theirs)
        ended, successor = pairs
        os.dup2(ended[0].fileno(), number)
        opened.callback(os.close, number)
        epoll.register(number, select.EPOLLIN | select.EPOLLONESHOT)
        ended[1].send(b"x")
        assert epoll.poll(fcgi.DEADLINE_SECONDS) == [(number, select.EPOLLIN)]
        os.dup2(successor[0].fileno(), number)
        say(hostile, protocol.KEEP, number, number)
        say(hostile, protocol.WANT, number)
        while hear(hostile) != (protocol.HERE, number):
            pass
        epoll.register(number, select.EPOLLIN | select.EPOLLONESHOT)
        successor[1].send(b"a request that no worker has been woken for yet")
        assert holder.call(holder.shared.waiting_unseen) == set()
        assert epoll.poll(fcgi.DEADLINE_SECONDS)
        assert holder.call(holder.shared.waiting_unseen) == {number}


def test_garbage_ends_the_conversation(holder: Holder, hostile: socket.socket) -> None:
    hostile.send(b"no message at all, but longer than one")
    hostile.send(b"")
    holder.call(lambda: None)
    holder.leave(3)


def test_a_connection_that_nobody_will_serve_is_cut(
    pool: StartWorker, clients: Connect, holder: Holder
) -> None:
    """A worker killed between being woken and noting it: its request would wait for ever."""
    client = abandoned(pool, clients, holder)
    client.send("/hello")
    with select.epoll.fromfd(os.dup(holder.shared.fileno())) as stolen:
        assert stolen.poll(fcgi.DEADLINE_SECONDS)  # takes the wake-up, as the killed worker did
    asyncio.run_coroutine_threadsafe(holder.shared.cut_unseen(), holder._loop).result(fcgi.DEADLINE_SECONDS)
    assert client.is_closed


def test_a_connection_that_waits_for_a_worker_is_not_cut(
    pool: StartWorker, clients: Connect, holder: Holder
) -> None:
    client = abandoned(pool, clients, holder)
    client.send("/hello")
    asyncio.run_coroutine_threadsafe(holder.shared.cut_unseen(), holder._loop).result(fcgi.DEADLINE_SECONDS)
    pool(0)
    assert client.receive().body == b"Hello, world!"


def test_closed_connections_are_forgotten_without_a_worker(
    pool: StartWorker, clients: Connect, holder: Holder
) -> None:
    client = abandoned(pool, clients, holder)
    client.close()
    wait_until(lambda: holder.call(lambda: holder.shared.is_readable))
    holder.call(holder.shared.forget_closed)
    assert not holder.call(lambda: holder.shared.is_readable)
