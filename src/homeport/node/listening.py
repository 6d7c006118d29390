"""The listening Unix sockets that the agent binds before anything runs behind them."""

import os
import select
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class ListeningSocket:
    """One Unix socket that nginx connects to and a site's processes inherit.

    It is non-blocking, because the flag belongs to the open file that all acceptors share and the workers wait by
    epoll. Closing it removes the path, so nginx sees a refusal at once; `open` binds it again at the same path.
    """

    def __init__(self, path: Path, *, backlog: int, group: int | None) -> None:
        self.path = path
        self.backlog = backlog
        self._group = group
        self._socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether connections are taken."""
        return self._socket is not None

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def open(self) -> None:
        """Bind and listen; a stale path of an earlier run is replaced."""
        if self._socket is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(str(self.path))
        if self._group is not None:
            os.chown(self.path, 0, self._group)
        self.path.chmod(0o660)
        listener.listen(self.backlog)
        self._socket = listener

    def set_backlog(self, backlog: int) -> None:
        """Let more or fewer connections wait from now on."""
        self.backlog = backlog
        if self._socket is not None:
            self._socket.listen(backlog)

    def close(self) -> None:
        """Stop taking connections and remove the path."""
        if self._socket is not None:
            self.path.unlink(missing_ok=True)
            self._socket.close()
            self._socket = None


@contextmanager
def private_listener(path: Path, *, owner: int | None = None) -> Iterator[socket.socket]:
    """Listen on a Unix socket that only one user (our own, or `owner`) and root can connect to.

    The path goes with it.
    """
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if owner is not None:
            os.chown(path, owner, -1)
        listener.listen()
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def listening_for_nginx(path: Path, *, group: int | None) -> Iterator[socket.socket]:
    """Listen on a Unix socket that nginx (its group, None: our own user) and root can connect to."""
    listening = ListeningSocket(path, backlog=4096, group=group)
    listening.open()
    try:
        with socket.socket(fileno=os.dup(listening.fileno())) as shared:
            yield shared
    finally:
        listening.close()


def readable(descriptors: Iterable[int]) -> set[int]:
    """Return those that something waits on at this moment. Negative ones are closed, so never among them."""
    poll = select.poll()
    for descriptor in descriptors:
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(0)}
