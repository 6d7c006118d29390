"""The way from the SCM app to the agent: the control socket of this one site.

One request a connection, JSON lines; see `homeport.node.site_control` for the other end.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeport.model.errors import HomeportError, Unavailable
from homeport.scm.http.answers import ERRORS

_LINE_BYTES = 64 * 1024 * 1024
_SECONDS = 60.0


class AgentChannel:
    """Asks the agent about this site. `socket` None: the process was started without an agent."""

    def __init__(self, socket: Path | None) -> None:
        self._socket = socket

    async def ask(
        self,
        action: str,
        *,
        progress: Callable[[str, float], None] = lambda _text, _fraction: None,
        seconds: float | None = _SECONDS,
        **arguments: object,
    ) -> Any:
        """Return the result of an action. Raises what the agent refuses it with, `Unavailable` when it is away."""
        if self._socket is None:
            raise Unavailable("This SCM site runs without the platform's agent, which would have to do that.")
        try:
            async with asyncio.timeout(seconds):
                return await self._asked(self._socket, {"action": action, **arguments}, progress)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            raise Unavailable("The platform's agent does not answer; try again in a few seconds.") from error

    async def _asked(
        self, path: Path, request: dict[str, object], progress: Callable[[str, float], None]
    ) -> Any:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=_LINE_BYTES)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            while line := await reader.readline():
                answer = json.loads(line)
                if "progress" not in answer:
                    return _result(answer)
                progress(str(answer["progress"]), float(answer.get("fraction", 0.0)))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        raise EOFError("the agent closed the connection")


def _result(answer: dict[str, Any]) -> Any:
    if "error" not in answer:
        return answer["result"]
    error = answer["error"]
    kind = ERRORS.get(error.get("status", 0), HomeportError)
    raise kind(str(error.get("message")), code=str(error.get("code")))
