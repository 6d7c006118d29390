"""HTTP as uvicorn speaks it, with two short cuts for large files.

Answers leave in larger pieces. A large body can be moved from the connection to a file by one buffer, past the parser
and what is made of its pieces on their way through Python: `BodyMove`, in the scope of such requests.
"""

import asyncio
import os
import select
import socket
import time
from enum import Enum, auto
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_EXTENSION = "homeport.body"
_SEND_BYTES = 512 * 1024
_LEAST_BYTES = 1024 * 1024
_BUFFER_BYTES = 256 * 1024  # beyond what a Unix socket holds by default
_PATIENCE_MILLISECONDS = 2
_TURN_SECONDS = 0.1


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin: with room in the kernel for a whole piece of a file, so that nginx takes it in one go."""
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        super().connection_made(transport)

    def on_headers_complete(self) -> None:
        """Offer to move the body where it is large and of known length."""
        before = self.cycle
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is before or self.pipeline or cycle.waiting_for_100_continue:
            return
        length = dict(self.headers).get(b"content-length", b"")
        if length.isdigit() and int(length) >= _LEAST_BYTES:
            self.scope["extensions"] = {_EXTENSION: BodyMove(self, cycle, length=int(length))}  # type: ignore[dict-item]

    def on_body(self, body: bytes) -> None:
        """Count what goes through Python."""
        move: BodyMove | None = self.scope.get("extensions", {}).get(_EXTENSION)  # type: ignore[assignment]
        if move is not None:
            move.parsed += len(body)
        super().on_body(body)


class _Source(Enum):
    """What is to be expected of a connection."""

    FLOWING = auto()
    EMPTY = auto()
    ENDED = auto()


class BodyMove:
    """Moves the rest of one request's body; `length` is the whole body's, in bytes."""

    def __init__(self, protocol: HttpProtocol, cycle: RequestResponseCycle, *, length: int) -> None:
        self.length = length
        self.parsed = 0
        self._left = 0
        self._protocol = protocol
        self._cycle = cycle

    async def to_file(self, file: BinaryIO) -> None:
        """Append the body to `file`, which must be a real one, from its position on.

        Raises `OSError` as the file does, once the caller has sent everything and so will read the answer;
        `ClientDisconnect` when the caller went away.
        """
        self._protocol.flow.pause_reading()
        held, self._cycle.body = self._cycle.body, bytearray()
        self._left = self.length - self.parsed
        if self._left:
            # The parser will not see the rest and goes on waiting for it: no other request can follow.
            self._cycle.keep_alive = False
        try:
            await asyncio.to_thread(file.write, held)
            await asyncio.to_thread(file.flush)
            await self._move(file.fileno())
        except OSError:
            with open(os.devnull, "wb") as nowhere:  # noqa: ASYNC230, PTH123 — no file that could be waited for
                await self._move(nowhere.fileno())
            raise
        finally:
            self._cycle.more_body = False
            self._cycle.message_event.set()

    async def _move(self, file: int) -> None:
        loop = asyncio.get_running_loop()
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        connection = self._protocol.transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(connection.fileno())) as source:
            while self._left:
                turn = loop.run_in_executor(None, self._copy, source, buffer, file)
                try:
                    state = await asyncio.shield(turn)
                except asyncio.CancelledError:
                    await asyncio.wait([turn])  # it uses what is closed below
                    raise
                if state is _Source.ENDED:
                    await self._hang_up()
                    raise ClientDisconnect
                if state is _Source.EMPTY:
                    await _readable(source.fileno())

    def _copy(self, source: socket.socket, buffer: memoryview, file: int) -> "_Source":
        """Move for a short time what is there and comes at once; return how the source was left.

        One buffer that stays in the processor's cache was measured to cost less than moving pages by `splice`.
        """
        waiting = select.poll()
        waiting.register(source, select.POLLIN)
        end = time.monotonic() + _TURN_SECONDS
        while self._left and time.monotonic() < end:
            try:
                count = source.recv_into(buffer, min(self._left, len(buffer)), socket.MSG_DONTWAIT)
            except BlockingIOError:
                if not waiting.poll(_PATIENCE_MILLISECONDS):
                    return _Source.EMPTY
                continue
            if not count:
                return _Source.ENDED
            self._left -= count
            data = buffer[:count]
            while data:
                data = data[os.write(file, data) :]
        return _Source.FLOWING

    async def _hang_up(self) -> None:
        """Have uvicorn see that the caller is gone."""
        self._cycle.message_event.clear()
        self._protocol.transport.abort()
        await self._cycle.message_event.wait()


async def move_body(request: Request, file: BinaryIO, *, most: int) -> int | None:
    """Move a request's whole body to the end of a file, if that can be done here; return its length in bytes.

    None, and nothing is done, for a body that is small, of unknown length, longer than `most` or partly read.
    """
    move: BodyMove | None = request.scope.get("extensions", {}).get(_EXTENSION)
    if move is None or move.length > most or hasattr(request, "_body") or request._stream_consumed:
        return None
    await move.to_file(file)
    return move.length


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
