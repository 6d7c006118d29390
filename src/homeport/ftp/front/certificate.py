"""The TLS side of the front."""

import ssl
from pathlib import Path


class DataContext(ssl.SSLContext):
    """A control connection's context, for data connections: it takes up TLS sessions, and hands out no tickets.

    Most clients never read during an upload. If they close with a ticket unread, the kernel resets the connection,
    which loses what was still on its way and looks like a connection that broke.
    """

    def __new__(cls, _control: ssl.SSLContext) -> "DataContext":
        """Make one; its own state is not used."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, control: ssl.SSLContext) -> None:
        self._control = control

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 — the library's own
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Encrypt one connection. A context alone knows the keys of its tickets, so this has to be the same one."""
        tickets = self._control.num_tickets
        self._control.num_tickets = 0
        try:
            return self._control.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        finally:
            self._control.num_tickets = tickets


class Certificate:
    """The platform's certificate for FTP, read again when it was renewed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is encrypted with: TLS 1.2 and newer. Raises `OSError`."""
        written = self._path.stat().st_mtime_ns
        if self._read is None or self._read[0] != written:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self._path)
            self._read = written, context
        return self._read[1]
