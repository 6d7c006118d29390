"""Data connections: a passive port for the client, and one end of a pair of sockets for the site's process."""

import asyncio
import random
import socket
import ssl

import structlog

from homeport.ftp.front.control_connection import Reader, close, streams
from homeport.model.errors import Unavailable

_log = structlog.get_logger(__name__)
_CONNECT_SECONDS = 30.0
_STALLED_SECONDS = 300.0
_CHUNK = 65536


def listen(address: str, family: socket.AddressFamily, first: int, last: int) -> socket.socket:
    """Listen on a free port of the range, a different one each time. Raises `Unavailable` when all are taken."""
    start = random.randrange(first, last + 1)  # noqa: S311 — that a port is hard to guess is not relied on
    for port in (*range(start, last + 1), *range(first, start)):
        listener = socket.socket(family)
        try:
            listener.bind((address, port))
            listener.listen(1)
            listener.settimeout(0)
        except OSError:
            listener.close()
            continue
        return listener
    raise Unavailable("Every port for data connections is in use.")


class DataConnection:
    """One connection between a client and the site's process, which has the other end of `site`.

    `context` encrypts the client's side, None leaves it in plain text.
    """

    def __init__(
        self, listener: socket.socket, site: socket.socket, *, client: str, context: ssl.SSLContext | None
    ) -> None:
        self._listener = listener
        self._site = site
        self._client = client
        self._context = context
        self.connected = False
        """Whether the client has come."""

    async def run(self) -> None:
        """Wait for the client, then carry bytes until the site's process ends the transfer."""
        try:
            with self._listener:
                accepted = await self._accept()
            self.connected = True
            await self._carry(accepted)
        except OSError as error:
            _log.info("ftp.data-connection", client=self._client, reason=str(error) or type(error).__name__)
        finally:
            self._site.close()

    async def _accept(self) -> socket.socket:
        """Take the client's connection; whoever else connects is turned away."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            while True:
                accepted, address = await asyncio.get_running_loop().sock_accept(self._listener)
                if address[0] == self._client:
                    return accepted
                accepted.close()

    async def _carry(self, accepted: socket.socket) -> None:
        inner = await streams(self._site, None)
        try:
            outer = await streams(accepted, self._context)
        except BaseException:
            accepted.close()
            inner[1].transport.abort()
            raise
        upwards = asyncio.create_task(_upwards(outer[0], inner[1]))
        try:
            await _copy(inner[0], outer[1])
            async with asyncio.timeout(_STALLED_SECONDS):
                await close(outer[1])
        finally:
            upwards.cancel()
            inner[1].transport.abort()
            outer[1].transport.abort()


async def _upwards(outer: Reader, inner: asyncio.StreamWriter) -> None:
    """Carry an upload; what broke off is closed at once instead of ended, by which the site's process knows it.

    With TLS too, an end without the alert `close_notify` counts as an end: .NET's FTP client never sends one.
    """
    try:
        await _copy(outer, inner)
        if outer.broken is not None:
            raise outer.broken
        inner.write_eof()
    except OSError:
        inner.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the end. Raises `OSError` when either side breaks off, or does not take anything for a while."""
    while data := await source.read(_CHUNK):
        target.write(data)
        async with asyncio.timeout(_STALLED_SECONDS):
            await target.drain()
