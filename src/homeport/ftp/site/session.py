"""One session as the site's user: pyftpdlib's handler, fed by the front in the place of a client.

Whoever reaches the listening socket is the front and has checked the password, so there is no sign-in here. Data
connections come as descriptors: the front ends their TLS too.
"""

import os
import select
import socket
from collections import deque
from typing import Any

from pyftpdlib.handlers import DTPHandler, FTPHandler
from pyftpdlib.log import logger

from homeport.ftp.commands import DATA, FEATURES_REPLY, PASSED_ON, SAY, SESSION
from homeport.ftp.site.files import ROOT, SiteFiles

_FROM_THE_FRONT = {
    SESSION: {"perm": None, "auth": False, "arg": True, "help": ""},
    SAY: {"perm": None, "auth": True, "arg": True, "help": ""},
    DATA: {"perm": None, "auth": True, "arg": True, "help": ""},
}
_MOST_HANDED = 4


class FrontConnection(socket.socket):
    """The connection to the front. It has no address, and descriptors come with its data."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        self.handed: deque[int] = deque()

    def getpeername(self) -> tuple[str, int]:
        """Return a stand-in for the address and port that pyftpdlib expects."""
        return "front", 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive; descriptors are kept in `handed`, in the order of the commands that they belong to."""
        data, descriptors, _, _ = socket.recv_fds(self, size, _MOST_HANDED, flags)
        self.handed.extend(descriptors)
        return data

    def close(self) -> None:
        """Close it, with the descriptors that no command asked for."""
        while self.handed:
            os.close(self.handed.popleft())
        super().close()


class SiteUser:
    """Whom pyftpdlib asks what a user may do: all that the site may, for the process has no other rights."""

    def has_perm(self, _user: str, _permission: str, _path: str | None = None) -> bool:
        """Allow it."""
        return True

    def get_perms(self, _user: str) -> str:
        """Return every permission that pyftpdlib knows."""
        return "elradfmwMT"

    def impersonate_user(self, _user: str, _password: str) -> None:
        """Do nothing: the process is the site's user already."""

    def terminate_impersonation(self, _user: str) -> None:
        """Do nothing."""

    def get_msg_quit(self, _user: str) -> str:
        """Return what is said at the end."""
        return "Goodbye."


class SiteTransfer(DTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """A data connection. pyftpdlib takes every end of an upload for a good one; the front tells which it was."""

    def handle_close(self) -> None:
        """Answer 426 to an upload that broke off: then the front has closed instead of ended the connection."""
        if self._closed or not self.receive or not _is_closed(self.socket):
            super().handle_close()
            return
        count = self.get_transmitted_bytes()
        self._resp = (f"426 The upload broke off after {count} bytes, which can be resumed.", logger.debug)
        self.close()


def _is_closed(connection: socket.socket) -> bool:
    """Tell whether the other side closed both directions."""
    poll = select.poll()
    poll.register(connection, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


class SiteSession(FTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """The commands of one client, as the front passes them on."""

    proto_cmds = {
        name: facts for name, facts in FTPHandler.proto_cmds.items() if name.split()[0] in PASSED_ON
    } | _FROM_THE_FRONT
    authorizer = SiteUser()
    dtp_handler = SiteTransfer
    abstracted_fs = SiteFiles
    timeout = 900
    log_prefix = "%(client)s %(username)s"

    def __init__(self, connection: FrontConnection, server: object, ioloop: object = None) -> None:
        self.client = "-"
        super().__init__(connection, server, ioloop)

    def handle(self) -> None:
        """Wait for the front to say who is there."""

    def ftp_XSESSION(self, line: str) -> None:  # noqa: N802 — pyftpdlib finds methods by these names
        """Begin: the front has checked who it is."""
        self.client, _, self.username = line.partition(" ")
        self.fs = self.abstracted_fs(ROOT, self)
        self.authenticated = True
        self.respond("230 Logged in; this is the site's home.")

    def ftp_XSAY(self, line: str) -> None:  # noqa: N802
        """Give a reply of the front's."""
        self.respond(line)

    def ftp_XDATA(self, line: str) -> None:  # noqa: N802
        """Take the data connection of the next transfer, in the place of one before."""
        if self.data_channel is not None:
            self.data_channel.close()
        self.data_channel: Any = self.dtp_handler(socket.socket(fileno=self.socket.handed.popleft()), self)
        self._on_dtp_connection()
        self.respond(line)

    def ftp_FEAT(self, _line: str) -> None:  # noqa: N802
        """List the features, as the front does before somebody has signed in."""
        self.push(f"{FEATURES_REPLY}\r\n")
