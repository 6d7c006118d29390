"""Which TCP sockets there are in a network namespace, asked of the kernel (sock_diag, as `ss` does).

The text in /proc/net/tcp would hold every connection of the last minute, some ten thousand lines on a busy site; the
kernel sends only the states that are asked for.
"""

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from homeport.model.errors import Unavailable

_SOCK_DIAG = 4
_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_ESTABLISHED = 1
_LISTEN = 10
_UNFINISHED = (_ESTABLISHED, 3, 4, 8, 9, _LISTEN, 11)
"""As well: SYN_RECV, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING (`enum` in the kernel's tcp_states.h)."""
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
_LOOPBACK = socket.inet_pton(socket.AF_INET, "127.0.0.1")
_ANY = bytes(4)
_MAPPED = bytes(10) + b"\xff\xff"
_ANY_6 = bytes(16)
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """One socket: addresses as the kernel holds them (4 or 16 bytes), ports as numbers, 0 for none."""

    address: bytes
    port: int
    remote_address: bytes
    remote_port: int

    @property
    def on_loopback(self) -> bool:
        """Whether a listener takes connections to 127.0.0.1."""
        return self.address in (_ANY, _LOOPBACK, _ANY_6, _MAPPED + _LOOPBACK, _MAPPED + _ANY)


class TcpDiagnostics:
    """Asks about one namespace (None: our own); it holds the namespace until it is closed."""

    def __init__(self, namespace: Path | None) -> None:
        self._socket = _socket_inside(namespace)
        self._socket.settimeout(2)

    def listeners(self) -> list[TcpSocket]:
        """Return the sockets that listen, of both families."""
        return [one for family in (socket.AF_INET, socket.AF_INET6) for one in self._dump(family, _LISTEN)]

    def connections(self) -> list[TcpSocket]:
        """Return the connections that are established, of both families."""
        return [
            one for family in (socket.AF_INET, socket.AF_INET6) for one in self._dump(family, _ESTABLISHED)
        ]

    def unfinished(self) -> set[int]:
        """Return the ports with a socket that takes connections, or whose other end still has to be told something."""
        families = (socket.AF_INET, socket.AF_INET6)
        return {one.port for family in families for one in self._dump(family, *_UNFINISHED)}

    def close(self) -> None:
        """Let go of the namespace."""
        self._socket.close()

    def _dump(self, family: int, *states: int) -> Iterator[TcpSocket]:
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, sum(1 << state for state in states))
        header = _HEADER.pack(_HEADER.size + len(request), _DIAG_BY_FAMILY, _REQUEST_DUMP, 0, 0)
        try:
            self._socket.send(header + request)
            while True:
                data = memoryview(self._socket.recv(1 << 17))
                while data:
                    length, kind, _, _, _ = _HEADER.unpack_from(data)
                    if kind == _DONE:
                        return
                    if kind == _ERROR:
                        raise Unavailable("The kernel does not tell which TCP ports are in use.")
                    yield _parse(family, data[_HEADER.size : length])
                    data = data[(length + 3) & ~3 :]
        except OSError as error:
            raise Unavailable(f"The kernel does not tell which TCP ports are in use: {error}.") from error


def _parse(family: int, message: memoryview) -> TcpSocket:
    # struct inet_diag_msg: family, state, timer, retrans, then the ports in network order and the addresses.
    source_port, destination_port = struct.unpack_from("!HH", message, 4)
    size = 4 if family == socket.AF_INET else 16
    return TcpSocket(
        address=bytes(message[8 : 8 + size]),
        port=source_port,
        remote_address=bytes(message[24 : 24 + size]),
        remote_port=destination_port,
    )


def _socket_inside(namespace: Path | None) -> socket.socket:
    """Open the socket in the namespace: a thread of its own enters it, so nothing else of ours does."""
    if namespace is None:
        return _open()
    made: list[socket.socket] = []
    problems: list[OSError] = []

    def enter() -> None:
        try:
            descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _set_namespace(descriptor)
            finally:
                os.close(descriptor)
            made.append(_open())
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if problems:
        raise Unavailable(f"The site's network cannot be looked into: {problems[0]}.")
    return made[0]


def _open() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)


def _set_namespace(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
