"""The control socket of a site: what its own SCM app may ask of the agent, and nothing about anybody else.

One connection carries one request, a JSON object on a line: `{"action": name, …}`. The answer is any number of
`{"progress": text, "fraction": number}` lines, then `{"result": value}` or `{"error": {code, message, status}}`.
The site's user owns the socket, so every request is as hostile as the site: bounded in size, number and time, and
the site it is about is the one that the socket belongs to, never one that the request names.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import structlog

from homeport.model.errors import HomeportError, Invalid
from homeport.node.error_status import error_to_json
from homeport.node.local_api import Progress, internal_error

_log = structlog.get_logger(__name__)
_MOST_CONNECTIONS = 16
_REQUEST_BYTES = 64 * 1024
_REQUEST_SECONDS = 10.0
_WRITE_SECONDS = 30.0
_LOG = "logs/agent.log"

Action = Callable[[Mapping[str, Any], Progress], Awaitable[object]]
"""Takes the request and where to report progress; gives the result, a JSON value. Raises `HomeportError`."""


class SiteControl:
    """Listens for one site. `owner` is the site's user, None when not root (then all run as our own user)."""

    def __init__(
        self,
        path: Path,
        *,
        owner: int | None,
        actions: Mapping[str, Action],
        spawn: Callable[[Coroutine[object, object, None]], object],
    ) -> None:
        self.path = path
        self._owner = owner
        self._actions = actions
        self._spawn = spawn
        self._listener: socket.socket | None = None
        self._connections = 0

    def open(self) -> None:
        """Bind the socket; a stale path of an earlier run is replaced."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            listener.bind(str(self.path))
        finally:
            os.umask(before)
        if self._owner is not None:
            os.chown(self.path, self._owner, self._owner)
        listener.listen(_MOST_CONNECTIONS)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def close(self) -> None:
        """Take no more requests and remove the path; those in hand go on."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if self._connections >= _MOST_CONNECTIONS:
            connection.close()
            return
        os.set_blocking(connection.fileno(), False)
        self._connections += 1
        self._spawn(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=_REQUEST_BYTES)
            try:
                async with asyncio.timeout(_REQUEST_SECONDS):
                    line = await reader.readline()
                await self._answer(line, writer)
            finally:
                writer.close()
        except (TimeoutError, OSError, ValueError):
            connection.close()  # it said nothing, too much, or left
        finally:
            self._connections -= 1

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()

        def progress(text: str, fraction: float) -> None:
            step = _encoded({"progress": text, "fraction": round(fraction, 3)})
            loop.call_soon_threadsafe(_write, writer, step)

        last = await self._outcome(line, progress)
        loop.call_soon(_write, writer, _encoded(last))  # behind the steps, which wait their turn in the loop
        await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(_WRITE_SECONDS):
                await writer.drain()

    async def _outcome(self, line: bytes, progress: Progress) -> dict[str, object]:
        try:
            request = _request(line)
            action = self._actions.get(str(request.get("action")))
            if action is None:
                raise Invalid(f"'{request.get('action')}' is nothing that a site can ask for.")
            return {"result": await action(request, progress)}
        except HomeportError as error:
            return error_to_json(error)
        except Exception as error:  # noqa: BLE001 — the boundary of one request: it hurts no other
            return internal_error(error, where="site control", log_file=_LOG)


def _request(line: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Invalid("A request is one JSON object on a line.") from error
    if not isinstance(value, dict):
        raise Invalid("A request is one JSON object on a line.")
    return value


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


def _encoded(value: object) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"
