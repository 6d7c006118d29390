"""`/api/command`: one command line, run to its end (Kudu reference §1.1, §1.2), and the same as a stream."""

import asyncio
import codecs
import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from homeport.scm.http.answers import json_answer
from homeport.scm.http.bodies import json_object
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders

if TYPE_CHECKING:
    from homeport.scm.commands.execution import CommandResult, Follow

_GRACE_SECONDS = 1.5
_KEPT_BYTES = 16 * 1024 * 1024
_STOPPED = "The command was ended because the SCM site is stopping.\n"


class CommandEndpoint:
    """Runs commands with the site's settings in their environment; `stopping` ends those that run."""

    def __init__(self, options: ScmOptions, *, providers: SettingsProviders, stopping: asyncio.Event) -> None:
        self._options = options
        self._providers = providers
        self._stopping = stopping

    async def run(self, request: Request) -> Response:
        """POST: 200 whatever became of the process."""
        body = await json_object(request)
        result = await self._until_stopped(_text(body, "command") or "", directory=_text(body, "dir"))
        if result is None:
            return json_answer({"Output": None, "Error": _STOPPED, "ExitCode": -1})
        return json_answer({"Output": result.output, "Error": result.error, "ExitCode": result.exit_code})

    async def stream(self, request: Request) -> Response:
        """POST `/api/homeport/command`: a JSON object a line, `Output` and `Error` as they come, at last `ExitCode`.

        The command is ended when its caller leaves.
        """
        body = await json_object(request)
        lines = self._lines(request, _text(body, "command") or "", directory=_text(body, "dir"))
        headers = {"content-type": "application/x-ndjson", "x-accel-buffering": "no"}
        return StreamingResponse(lines, headers=headers)

    async def _lines(self, request: Request, line: str, *, directory: str | None) -> AsyncIterator[bytes]:
        pieces: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("Output", "Error")}
        command = asyncio.create_task(
            self._until_stopped(line, directory=directory, follow=lambda *piece: pieces.put_nowait(piece))
        )
        # A silent command would never notice by sending that nobody listens any more.
        leaving = asyncio.create_task(_left(request))
        for task in (command, leaving):
            task.add_done_callback(lambda _: pieces.put_nowait(("", b"")))
        try:
            while (piece := await pieces.get())[0]:
                if text := decoders[piece[0]].decode(piece[1]):
                    yield _line({piece[0]: text})
            if not command.done():
                return
            for name, decoder in decoders.items():
                if text := decoder.decode(b"", final=True):
                    yield _line({name: text})
            result = command.result()
            if result is None:
                yield _line({"Error": _STOPPED, "ExitCode": -1})
            elif result.output is None:
                yield _line({"Error": result.error, "ExitCode": result.exit_code})
            else:
                yield _line({"ExitCode": result.exit_code})
        finally:
            for task in (command, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _until_stopped(
        self, line: str, *, directory: str | None, follow: "Follow | None" = None
    ) -> "CommandResult | None":
        """Run a line; None when the SCM site had to end before it did."""
        command = asyncio.create_task(self._execute(line, directory=directory, follow=follow))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([command, stopping], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([command], timeout=_GRACE_SECONDS)
            return command.result() if command.done() else None
        finally:
            for task in (command, stopping):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _execute(self, line: str, *, directory: str | None, follow: "Follow | None") -> "CommandResult":
        # Late: the parser and psutil would be a fifth of every cold start.
        from homeport.scm.commands.execution import execute

        settings = self._providers.current()
        return await execute(
            line,
            directory=directory,
            environment={**self._options.environment, **settings.all()},
            idle_timeout_seconds=settings.number("SCM_COMMAND_IDLE_TIMEOUT", default=60) or 60,
            total_timeout_seconds=settings.number("HOMEPORT_COMMAND_TIMEOUT", default=0) or None,
            layout=self._options.layout,
            output_limit_bytes=_KEPT_BYTES if follow is None else 0,
            follow=follow,
        )


async def _left(request: Request) -> None:
    """Wait until the caller has gone; the body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _line(value: dict[str, object]) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


def _text(body: dict[str, object], name: str) -> str | None:
    """Return a member as text; member names are compared without case, as Newtonsoft does."""
    found = next((value for key, value in body.items() if key.casefold() == name), None)
    return None if found is None else str(found)
