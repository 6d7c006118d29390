"""The control connection of one client: lines, in plain text at first or encrypted from the start."""

import asyncio
import contextlib
import socket
import ssl

_MOST_LINE = 4096
_CHUNK = 65536
_HANDSHAKE_SECONDS = 60.0
_SHUTDOWN_SECONDS = 5.0
_WRITE_SECONDS = 60.0


class ControlConnection:
    """Reads lines and writes replies.

    Before TLS it takes no byte from the kernel beyond the line it returns, so nothing that came in plain text can be
    taken for something that came encrypted.
    """

    def __init__(self, accepted: socket.socket) -> None:
        accepted.settimeout(0)
        self._socket = accepted
        self._begun = b""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.address: str = accepted.getpeername()[0]
        self.local_address: str = accepted.getsockname()[0]
        self.family = accepted.family

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return self._streams is not None

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Encrypt from here on. Raises `OSError` when the handshake fails."""
        self._streams = await streams(self._socket, context, longest_line=_MOST_LINE)

    async def line(self) -> bytes:
        """Return the next line without its end; empty at the end. Raises `ValueError` for one that is too long."""
        line = await (self._streams[0].readline() if self._streams else self._plain_line())
        if line.endswith(b"\n"):
            return line.rstrip(b"\r\n") or b" "
        return b""

    async def write(self, data: bytes) -> None:
        """Send; waits a minute for a client that does not take it. Raises `OSError`."""
        async with asyncio.timeout(_WRITE_SECONDS):
            if self._streams is None:
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
            else:
                self._streams[1].write(data)
                await self._streams[1].drain()

    async def reply(self, text: str) -> None:
        """Send one reply."""
        await self.write(f"{text}\r\n".encode())

    async def close(self) -> None:
        """Close it, sending what is still to be sent."""
        if self._streams is None:
            self._socket.close()
        else:
            await close(self._streams[1])

    async def _plain_line(self) -> bytes:
        while True:
            seen = await self._peek()
            end = seen.find(b"\n") + 1
            self._begun += self._socket.recv(end or len(seen))
            if end or not seen:
                line, self._begun = self._begun, b""
                return line
            if len(self._begun) > _MOST_LINE:
                raise ValueError("the line is too long")

    async def _peek(self) -> bytes:
        while True:
            try:
                return self._socket.recv(_MOST_LINE, socket.MSG_PEEK)
            except BlockingIOError:
                await readable(self._socket)


class Reader(asyncio.StreamReader):
    """A reader that gives all that came before the connection broke, and then says that it did."""

    broken: BaseException | None = None
    """Why there is no more. None after an orderly end: a peer that closes with something unread resets after it."""

    def set_exception(self, exc: BaseException) -> None:
        """Take the end of the connection for the end of the data (asyncio drops what is not read yet)."""
        if not self._ended:
            self.broken = exc
            self.feed_eof()

    def feed_eof(self) -> None:
        """Note that the peer has sent all."""
        self._ended = True
        super().feed_eof()

    _ended = False


async def streams(
    connection: socket.socket, context: ssl.SSLContext | None, *, longest_line: int = _CHUNK
) -> tuple[Reader, asyncio.StreamWriter]:
    """Make streams of an accepted connection, with TLS if there is a context. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    reader = Reader(limit=longest_line)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol,
        connection,
        ssl=context,
        ssl_handshake_timeout=_HANDSHAKE_SECONDS if context else None,
        ssl_shutdown_timeout=_SHUTDOWN_SECONDS if context else None,
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a stream once what was written is sent; a peer that is gone is no error."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def readable(connection: socket.socket) -> None:
    """Wait until there is something to read."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
