"""Serving the sessions of one site until there has been none for a while."""

import socket
import time

from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

from homeport.ftp.site.session import FrontConnection, SiteSession

_IDLE_SECONDS = 60.0
_LOOK_SECONDS = 5.0
_BACKLOG = 64


class SiteServer(FTPServer):  # type: ignore[misc]  # pyftpdlib has no types
    """Takes connections of the front from an inherited Unix socket."""

    max_cons = 256

    def handle_accepted(self, accepted: socket.socket, _address: object) -> None:
        """Begin a session."""
        super().handle_accepted(FrontConnection(accepted), ("front", 0))


def serve(listening: socket.socket) -> None:
    """Serve until there has been no session for a minute; who connects later waits for the next process."""
    loop = IOLoop.instance()
    server = SiteServer(listening, SiteSession, ioloop=loop, backlog=_BACKLOG)
    last_session = time.monotonic()
    while time.monotonic() - last_session < _IDLE_SECONDS:
        loop.loop(timeout=_LOOK_SECONDS, blocking=False)
        if len(loop.socket_map) > 1:
            last_session = time.monotonic()
    server.close()
