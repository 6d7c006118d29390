"""The connections that nginx keeps open to a pool: all its workers share them, the agent holds them together.

The kernel hands each request to an idle worker (`homeport.worker.shared`); the agent is asked only when a connection begins
or ends, or when a worker meets one for the first time. It keeps a descriptor of each, so a connection and the
requests that wait on it outlive every worker. Workers are tenants' processes: whatever they send can harm their own pool only.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import socket
from collections.abc import Collection
from pathlib import Path

from homeport.node.listening import readable
from homeport.worker import shared_protocol as protocol

_MESSAGES_AT_ONCE = 64
_PAUSE_SECONDS = 0.02
"""After so many messages in a row a worker has to wait: the agent serves all sites."""
_LAST_MESSAGES = 512
"""More than fit into a socket: what an ended worker had still to say. A child of its may go on talking."""
_LOOKS = 5
_LOOK_SECONDS = 0.1
_DISARMED = 0x40000000
"""Event mask of an entry that has fired: EPOLLONESHOT alone is left of it."""


class SharedConnections:
    """The epoll instance of a pool, its connections by number, and the control sockets of its workers by slot."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._held: dict[int, socket.socket] = {}
        self._unused = iter(range(protocol.FIRST, protocol.FIRST + protocol.MOST))
        self._returned: list[int] = []
        self._given: dict[int, set[int]] = {}
        self._controls: dict[int, socket.socket] = {}
        self._paused: set[int] = set()

    def fileno(self) -> int:
        """Return the epoll descriptor: workers wait on it; it is readable while a request or a connection waits."""
        return self._epoll.fileno()

    @property
    def is_readable(self) -> bool:
        """Whether a request or a connection waits; looking takes nothing away from the workers."""
        return bool(readable([self._epoll.fileno()]))

    def listen(self, descriptor: int) -> None:
        """Let new connections to this listening socket wake a worker.

        Its entry must not look like a connection's, so its number lies above theirs; the entry outlives that descriptor.
        """
        above = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, protocol.FIRST + protocol.MOST)
        try:
            self._epoll.register(above, select.EPOLLIN)
        finally:
            os.close(above)

    def admit(self, slot: int) -> socket.socket:
        """Return a worker's end of a new control socket; the caller closes it once the worker has it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        self._controls[slot] = ours
        self._given[slot] = set()
        for _ in range(protocol.STOCK):
            self._give(slot)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read, slot)
        return theirs

    def leave(self, slot: int, *, claimed: int = 0, claimed_by_others: Collection[int] = ()) -> None:
        """Forget a worker that has ended, and cut the connection that it had in hand.

        `claimed` is what its slot of the scoreboard says of that, 0 for none. A worker lets others be woken first and
        clears its claim then, so one of them may have the connection by now.
        """
        control = self._controls.get(slot)
        if control is None:
            return
        asyncio.get_running_loop().remove_reader(control.fileno())
        self._take(slot, _LAST_MESSAGES)
        self._controls.pop(slot).close()
        self._paused.discard(slot)
        for number in self._given.pop(slot):
            self._returned.append(number)
        if (
            claimed in self._held
            and claimed not in claimed_by_others
            and claimed in _disarmed(self._epoll.fileno())
        ):
            self._cut(claimed)

    def forget_closed(self) -> None:
        """Drop the connections that nginx has closed, while no worker is there to notice."""
        for number, connection in list(self._held.items()):
            if _is_closed(connection):
                self._drop(number)

    def waiting_unseen(self) -> set[int]:
        """Return the connections on which a request waits although no worker will be woken for it.

        A worker that is killed in the moment between being woken and noting it leaves one behind.
        """
        if self._epoll.closed:
            return set()
        disarmed = _disarmed(self._epoll.fileno())
        return {number for number in disarmed & self._held.keys() if _has_bytes(self._held[number])}

    async def cut_unseen(self) -> None:
        """Cut the connections of `waiting_unseen` that stay so: their visitors get an error instead of silence."""
        unseen = self.waiting_unseen()
        for _ in range(_LOOKS):
            if not unseen:
                return
            await asyncio.sleep(_LOOK_SECONDS)
            unseen &= self.waiting_unseen()
        for number in unseen & self._held.keys():
            self._cut(number)

    def cut_all(self) -> None:
        """End every connection: nginx sees it at once and uses none of them again."""
        for number in list(self._held):
            self._cut(number)

    def close(self) -> None:
        """End everything, after the last worker."""
        self.cut_all()
        for slot in list(self._controls):
            self.leave(slot)
        self._epoll.close()

    # ---- messages

    def _read(self, slot: int) -> None:
        wanted = {slot: self._take_some(slot)}
        if not self._held.keys() >= set(wanted[slot]):
            # Another worker has just shared the connection, and its message has not been read.
            for other in self._controls.keys() - self._paused - {slot}:
                wanted[other] = self._take_some(other)
        for asking, numbers in wanted.items():
            for number in numbers:
                self._answer(asking, number)

    def _take_some(self, slot: int) -> list[int]:
        """Take what a worker has to say; one that says too much is not listened to for a moment."""
        wanted, more = self._take(slot, _MESSAGES_AT_ONCE)
        if more:
            loop = asyncio.get_running_loop()
            control = self._controls[slot]
            loop.remove_reader(control.fileno())
            self._paused.add(slot)
            loop.call_later(_PAUSE_SECONDS, self._listen_again, slot, control)
        return wanted

    def _listen_again(self, slot: int, control: socket.socket) -> None:
        if self._controls.get(slot) is control:
            self._paused.discard(slot)
            asyncio.get_running_loop().add_reader(control.fileno(), self._read, slot)

    def _take(self, slot: int, most: int) -> tuple[list[int], bool]:
        """Take up to `most` messages of a worker; return the numbers that it wants, and whether there may be more."""
        wanted: list[int] = []
        for _ in range(most):
            message = self._receive(slot)
            if message is None:
                return wanted, False
            kind, number, connection = message
            if kind == protocol.KEEP and connection is not None and number in self._given[slot]:
                self._given[slot].remove(number)
                self._held[number], connection = connection, None
                self._give(slot)
            elif kind == protocol.WANT:
                wanted.append(number)
            elif kind == protocol.GONE:
                self._drop_if_closed(number)
            if connection is not None:
                connection.close()
        return wanted, True

    def _receive(self, slot: int) -> tuple[int, int, socket.socket | None] | None:
        """Receive one message; None when there is none, and for ever after one that is no message."""
        control = self._controls[slot]
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    control, protocol.MESSAGE.size, 1, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return None
            except ConnectionResetError:
                continue  # it ended with messages unread; what it had sent before is still to come
            except OSError:
                data, descriptors = b"", []
            break
        connection = _unix_socket(descriptors[0]) if descriptors else None
        if len(data) == protocol.MESSAGE.size:
            kind, number = protocol.MESSAGE.unpack(data)
            return kind, number, connection
        asyncio.get_running_loop().remove_reader(control.fileno())
        if connection is not None:
            connection.close()
        return None

    def _answer(self, slot: int, number: int) -> None:
        self._drop_if_closed(number)
        connection = self._held.get(number)
        if connection is None:
            self._say(slot, protocol.NONE, number)
        else:
            self._say(slot, protocol.HERE, number, connection)

    def _give(self, slot: int) -> None:
        number = self._returned.pop() if self._returned else next(self._unused, None)
        if number is not None:
            self._given[slot].add(number)
            self._say(slot, protocol.TAKE, number)

    def _say(self, slot: int, kind: int, number: int, connection: socket.socket | None = None) -> None:
        """Send a message. A worker that reads none of them loses its own requests only."""
        message = protocol.MESSAGE.pack(kind, number)
        with contextlib.suppress(OSError):
            socket.send_fds(
                self._controls[slot], [message], [] if connection is None else [connection.fileno()]
            )

    # ---- connections

    def _drop_if_closed(self, number: int) -> None:
        connection = self._held.get(number)
        if connection is not None and _is_closed(connection):
            self._drop(number)

    def _cut(self, number: int) -> None:
        with contextlib.suppress(OSError):
            self._held[number].shutdown(socket.SHUT_RDWR)
        self._drop(number)

    def _drop(self, number: int) -> None:
        self._held.pop(number).close()
        self._returned.append(number)


def _unix_socket(descriptor: int) -> socket.socket | None:
    """Return the socket behind a descriptor that a tenant sent; anything but a Unix stream is closed.

    Closing another kind may block (a TCP socket that lingers), so its lingering is ended first.
    """
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM:
        return sock
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8))
    sock.close()
    return None


def _peek(connection: socket.socket) -> bytes | None:
    """Return the next byte; empty at the end of the stream, None when nothing has come."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _is_closed(connection: socket.socket) -> bool:
    return _peek(connection) == b""


def _has_bytes(connection: socket.socket) -> bool:
    return bool(_peek(connection))


def _disarmed(epoll_fd: int) -> set[int]:
    """Return the numbers whose entries have all fired and were not armed again (proc(5), fdinfo).

    A number has more than one while a worker still holds an ended connection that had it before.
    """
    fired: set[int] = set()
    armed: set[int] = set()
    for line in Path(f"/proc/self/fdinfo/{epoll_fd}").read_text().splitlines():
        words = line.split()
        if words[:1] == ["tfd:"]:
            (fired if int(words[3], 16) == _DISARMED else armed).add(int(words[1]))
    return fired - armed
