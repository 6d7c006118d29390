"""Data connections: a passive port for the client, and one end of a pair of sockets for the site's process."""

import asyncio
import contextlib
import random
import socket
import ssl

import structlog

from homeport.ftp.front.control_connection import close, streams
from homeport.model.errors import Unavailable

_log = structlog.get_logger(__name__)
_CONNECT_SECONDS = 30.0
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


async def carry(
    listener: socket.socket, site: socket.socket, *, client: str, context: ssl.SSLContext | None
) -> None:
    """Take the one connection of this client and carry its bytes to and from the site's end; closes both."""
    try:
        with listener:
            accepted = await _accept(listener, client)
        inner = await streams(site, None)
        try:
            outer = await streams(accepted, context)
        except BaseException:
            accepted.close()
            inner[1].transport.abort()
            raise
        await _both_ways(inner, outer)
    except OSError as error:
        _log.info("ftp.data-connection", client=client, reason=str(error) or type(error).__name__)
    finally:
        site.close()


async def _accept(listener: socket.socket, client: str) -> socket.socket:
    """Wait for the client; whoever else connects is turned away."""
    async with asyncio.timeout(_CONNECT_SECONDS):
        while True:
            accepted, address = await asyncio.get_running_loop().sock_accept(listener)
            if address[0] == client:
                return accepted
            accepted.close()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _both_ways(inner: Streams, outer: Streams) -> None:
    """Carry bytes until the site's process closes its end: it knows when a transfer is complete."""
    upwards = asyncio.create_task(_upwards(outer[0], inner[1]))
    try:
        await _copy(inner[0], outer[1])
    finally:
        upwards.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await upwards
        inner[1].transport.abort()
        await close(outer[1])


async def _upwards(outer: asyncio.StreamReader, inner: asyncio.StreamWriter) -> None:
    try:
        await _copy(outer, inner)
        inner.write_eof()
    except OSError:
        inner.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        target.write(data)
        await target.drain()
