"""The connections that nginx keeps open to the pool, as one worker sees them.

Each belongs to all the workers of the pool: whoever is idle takes the next request, whichever connection it comes on,
so a slow request holds up nobody (decision 7). The workers wait on one epoll instance. An entry fires once (EPOLLONESHOT) and stays
silent until the worker that took the request has answered it and arms it again, so a body that still comes in wakes
nobody else. A worker gets its descriptor of a connection from the agent when it first has to serve it.
"""

import array
import errno
import os
import select
import socket
import sys
from typing import Dict, List, Optional

from homeport.worker import shared_protocol as protocol

ARMED = select.EPOLLIN | select.EPOLLONESHOT
_REPLY_SECONDS = 5.0
_NUMBER_SECONDS = 0.05
_DESCRIPTOR = array.array("i", [0]).itemsize


class SharedConnections:
    """Waits for requests on shared connections, and adds and removes connections."""

    def __init__(self, epoll_fd: int, control_fd: int) -> None:
        self._epoll = select.epoll.fromfd(epoll_fd)
        self.poll = self._epoll.poll
        """epoll's own: gives the number of a connection with a request, or that of the listening socket."""
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, control_fd)
        self._control.settimeout(_REPLY_SECONDS)
        self._patience = select.poll()
        self._patience.register(self._control, select.POLLIN)
        self._numbers: List[int] = []
        self.sockets: Dict[int, socket.socket] = {}
        """The connections that this worker has met, by number; some may have ended since."""

    @property
    def epoll_fd(self) -> int:
        """The descriptor of the pool's epoll instance."""
        return self._epoll.fileno()

    def arm(self, number: int) -> None:
        """Let the next request of this connection be taken by any worker."""
        self._epoll.modify(number, ARMED)

    def keep(self, descriptor: int) -> int:
        """Share a connection that has been served once; the caller closes its own descriptor afterwards.

        Returns the connection's number; 0 when the agent has none for it, since the pool has as many as it can have.
        """
        number = self._free_number()
        if not number:
            return 0
        self._adopt(number, descriptor)
        self._tell(protocol.KEEP, number, descriptor)
        self._epoll.register(number, ARMED)
        return number

    def fetch(self, number: int) -> bool:
        """Get a descriptor of this connection from the agent; False when the connection has ended."""
        if number not in self.sockets and _is_open(number):
            # The application has opened so many files that it reached our numbers: let another worker serve this.
            sys.stderr.write(
                "Descriptor {} is in use by the application: this process ends.\n".format(number)
            )
            raise OSError(errno.EMFILE, "the application has taken the descriptors of shared connections")
        self._tell(protocol.WANT, number)
        while True:
            kind, answered, descriptor = self._hear()
            if kind == protocol.TAKE:
                self._numbers.append(answered)
            elif answered == number:
                break
        if descriptor is None:
            return False
        self._adopt(number, descriptor)
        os.close(descriptor)
        return True

    def discard(self, number: int) -> int:
        """Cut a connection whose last response is not whole, for everyone."""
        sock = self.sockets.pop(number)
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer has closed it already
        sock.close()
        self._tell(protocol.GONE, number)
        return number

    def close(self) -> None:
        """Let go of everything without closing the connections: other workers serve them."""
        for sock in self.sockets.values():
            sock.close()
        self.sockets.clear()

    def _free_number(self) -> int:
        """Return a number for a new connection; 0 when the pool has as many as it can have."""
        while True:
            while not self._numbers:
                if not self._patience.poll(_NUMBER_SECONDS * 1000):
                    return 0
                kind, number, _ = self._hear()
                if kind == protocol.TAKE:
                    self._numbers.append(number)
            number = self._numbers.pop()
            if number in self.sockets or not _is_open(number):
                return number

    def _adopt(self, number: int, descriptor: int) -> None:
        """Make `number` a descriptor of this connection, in the place of an ended one's."""
        os.dup2(descriptor, number, inheritable=False)
        if (
            number not in self.sockets
        ):  # the object of an ended one is as good: it knows no more than the number
            self.sockets[number] = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, number)

    def _tell(self, kind: int, number: int, descriptor: Optional[int] = None) -> None:
        rights = (
            []
            if descriptor is None
            else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        )
        self._control.sendmsg([protocol.MESSAGE.pack(kind, number)], rights)

    def _hear(self) -> "tuple[int, int, Optional[int]]":
        """Wait for the agent's next message. Raises OSError when the agent is gone or silent."""
        data, ancillary, _, _ = self._control.recvmsg(
            protocol.MESSAGE.size, socket.CMSG_SPACE(_DESCRIPTOR), socket.MSG_CMSG_CLOEXEC
        )
        if len(data) != protocol.MESSAGE.size:
            raise ConnectionResetError("the agent has closed the control socket")
        kind, number = protocol.MESSAGE.unpack(data)
        descriptors = array.array("i")
        for _, _, content in ancillary:
            descriptors.frombytes(content[: len(content) - len(content) % _DESCRIPTOR])
        return kind, number, descriptors[0] if descriptors else None


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
