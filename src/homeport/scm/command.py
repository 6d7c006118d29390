"""`/api/command`: one command line, run to its end (Kudu reference §1.1, §1.2)."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.http.answers import json_answer
from homeport.scm.http.bodies import json_object
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders

if TYPE_CHECKING:
    from homeport.scm.commands.execution import CommandResult

_GRACE_SECONDS = 1.5
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

    async def _until_stopped(self, line: str, *, directory: str | None) -> "CommandResult | None":
        """Run a line; None when the SCM site had to end before it did."""
        command = asyncio.create_task(self._execute(line, directory=directory))
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

    async def _execute(self, line: str, *, directory: str | None) -> "CommandResult":
        # Late: the parser and psutil would be a fifth of every cold start.
        from homeport.scm.commands.execution import execute

        settings = self._providers.current()
        return await execute(
            line,
            directory=directory,
            environment={**self._options.environment, **settings.all()},
            idle_timeout_seconds=settings.number("SCM_COMMAND_IDLE_TIMEOUT", default=60) or 60,
            layout=self._options.layout,
        )


def _text(body: dict[str, object], name: str) -> str | None:
    """Return a member as text; member names are compared without case, as Newtonsoft does."""
    found = next((value for key, value in body.items() if key.casefold() == name), None)
    return None if found is None else str(found)
