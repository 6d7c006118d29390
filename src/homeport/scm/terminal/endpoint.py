"""The WebSocket of a terminal.

The page sends what is typed as binary messages and `{"resize": [columns, rows]}` as text; it gets output as binary
messages and, at the end, `{"exit": code}` as text.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.websockets import WebSocket, WebSocketDisconnect

from homeport.model.errors import Unavailable
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders

if TYPE_CHECKING:
    from homeport.scm.terminal.session import TerminalSession

_MOST_TERMINALS = 5
_IDLE_SECONDS = 1800.0
_LOOK_SECONDS = 5.0
_GOING_AWAY = 1001
_TRY_AGAIN = 1013
_LONGEST_REASON = 100


@dataclass(slots=True, kw_only=True, eq=False)
class _Open:
    """A terminal in use."""

    session: "TerminalSession"
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    used: float = field(default_factory=time.monotonic)


class TerminalEndpoint:
    """Opens terminals, five at most: a sixth ends the one that was quiet for longest (Kudu reference §10.2)."""

    def __init__(self, options: ScmOptions, *, providers: SettingsProviders, stopping: asyncio.Event) -> None:
        self._options = options
        self._providers = providers
        self._stopping = stopping
        self._open: list[_Open] = []

    async def serve(self, websocket: WebSocket) -> None:
        """Carry one terminal until either side ends it."""
        await websocket.accept()
        if len(self._open) >= _MOST_TERMINALS:
            min(self._open, key=lambda terminal: terminal.used).ended.set()
        try:
            terminal = _Open(session=self._start(websocket.query_params))
        except Unavailable as error:
            await websocket.close(_TRY_AGAIN, error.message[:_LONGEST_REASON])
            return
        self._open.append(terminal)
        try:
            await self._carry(websocket, terminal)
        finally:
            self._open.remove(terminal)

    def _start(self, query: Mapping[str, str]) -> "TerminalSession":
        # Late: the interpreter and psutil would be a fifth of every cold start.
        from homeport.scm.commands.console import CommandFailure, Console
        from homeport.scm.commands.execution import command_environment
        from homeport.scm.terminal.session import TerminalSession, bash_command, cmd_command
        from homeport.windows.variables import expand_text

        layout = self._options.layout
        settings = self._providers.current().all()
        console = Console(
            layout=layout,
            directory=layout.home,
            environment=command_environment({**self._options.environment, **settings}, layout),
        )
        with contextlib.suppress(CommandFailure):
            console.change_directory(
                expand_text(query.get("directory", "") or layout.home, console.variables())
            )
        bash = query.get("shell", "").lower() == "bash"
        environment = dict(console.process_environment()) if bash else dict(console.environment)
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        if not bash:
            environment |= {"HOMEPORT_TEMPORARY": layout.temporary, "HOMEPORT_LOCAL": layout.local}
        return TerminalSession(
            bash_command() if bash else cmd_command(),
            environment=environment,
            directory=console.directory,
            echo=bash,
            columns=_number(query.get("columns"), 80),
            rows=_number(query.get("rows"), 24),
        )

    async def _carry(self, websocket: WebSocket, terminal: _Open) -> None:
        tasks = [
            asyncio.create_task(self._outputs(websocket, terminal)),
            asyncio.create_task(_inputs(websocket, terminal)),
            asyncio.create_task(self._limits(terminal)),
            asyncio.create_task(self._stopping.wait()),
        ]
        outputs = tasks[0]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended_itself = outputs.done()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            code = await asyncio.shield(terminal.session.close())
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            if ended_itself:
                await websocket.send_text(json.dumps({"exit": code}))
                await websocket.close()
            else:
                await websocket.close(
                    _GOING_AWAY, "This terminal was ended: it was not used, or the SCM site stops."
                )

    async def _outputs(self, websocket: WebSocket, terminal: _Open) -> None:
        while data := await terminal.session.read():
            terminal.used = time.monotonic()
            await websocket.send_bytes(data)

    async def _limits(self, terminal: _Open) -> None:
        """Return when the terminal must make room or was idle for half an hour."""
        while time.monotonic() - terminal.used < _IDLE_SECONDS:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(terminal.ended.wait(), _LOOK_SECONDS)
                return


async def _inputs(websocket: WebSocket, terminal: _Open) -> None:
    """Hand on what is typed until the page leaves."""
    while (message := await websocket.receive())["type"] == "websocket.receive":
        terminal.used = time.monotonic()
        if data := message.get("bytes"):
            await terminal.session.write(data)
        elif text := message.get("text"):
            _control(text, terminal.session)


def _control(text: str, session: "TerminalSession") -> None:
    """Obey a control message; one that is none is passed over, as terminals do."""
    with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
        columns, rows = json.loads(text)["resize"]
        session.resize(int(columns), int(rows))


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 5 else default
