"""Run one command line for `/api/command` (Kudu reference §1.2 to §1.6)."""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from homeport.scm.commands.capture import Capture
from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.handles import Handles
from homeport.scm.commands.interpreter import Interpreter
from homeport.scm.commands.programs import NOT_RECOGNIZED
from homeport.scm.commands.supervision import Family, IdleWatch
from homeport.windows.cmd.dialect import Dialect, decide_dialect
from homeport.windows.layout import Layout
from homeport.windows.variables import expand_text

_CHUNK = 64 * 1024
_POLL_SECONDS = 1.0
_LIMIT_BYTES = 16 * 1024 * 1024
# What Kudu's console page appends to learn the new folder, whatever the line before it is written in.
_CONSOLE_PAGE = re.compile(r"\s*&\s*echo\.?\s*&\s*cd\s*$", re.IGNORECASE)

Follow = Callable[[str, bytes], None]
"""Takes `Output` or `Error` and the next bytes of that stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The three members of the answer. `output` is None when the command did not start or was aborted."""

    output: str | None
    error: str | None
    exit_code: int


async def execute(
    line: str,
    *,
    directory: str | None,
    environment: Mapping[str, str],
    idle_timeout_seconds: float = 60.0,
    total_timeout_seconds: float | None = None,
    layout: Layout | None = None,
    output_limit_bytes: int = _LIMIT_BYTES,
    follow: Follow | None = None,
) -> CommandResult:
    """Run `line` in `directory` and wait for its end; nothing is raised for what the command does.

    `directory` is Windows or Linux text, relative to home; None or empty means home. `environment` holds Linux
    values (the site's settings and the platform's variables). The input is empty. A command without output and
    CPU activity for two periods of `idle_timeout_seconds` is killed with all its processes: `exit_code` is -1,
    `output` None and `error` says so; so is one that runs for `total_timeout_seconds` (None: no limit), busy or not.
    `follow` gets the output as it comes, beside what is kept. Each stream is kept up to `output_limit_bytes`. When the calling task is
    cancelled, the processes are killed too.
    """
    places = layout or Layout()
    console = Console(
        layout=places, directory=places.home, environment=command_environment(environment, places)
    )
    try:
        _enter(console, directory)
    except CommandFailure as failure:
        return CommandResult(output=None, error=failure.message, exit_code=-1)
    return await _Execution(
        line,
        console,
        idle_timeout_seconds=idle_timeout_seconds,
        total_timeout_seconds=total_timeout_seconds,
        limit_bytes=output_limit_bytes,
        follow=follow,
    ).run()


def command_environment(environment: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """Add what a command's environment has beyond the site's settings (§1.5); a setting of that name wins."""
    root = f"{layout.home}/site/wwwroot"
    added = {
        "TEMP": layout.temporary,
        "TMP": layout.temporary,
        "HOMEDRIVE": layout.drive,
        "HOMEPATH": r"\home",
        "DEPLOYMENT_SOURCE": layout.home,
        "DEPLOYMENT_TARGET": root,
        "WEBROOT_PATH": root,
    }
    return {**added, **environment, "HOME": layout.home}


def _enter(console: Console, directory: str | None) -> None:
    """Go to the folder of the request (§1.3)."""
    if not directory:
        return
    try:
        console.change_directory(expand_text(directory, console.variables()))
    except CommandFailure as failure:
        raise CommandFailure(f"The directory '{directory}' cannot be used: {failure.message}") from failure


class _Execution:
    """One command line from its start to its answer."""

    def __init__(
        self,
        line: str,
        console: Console,
        *,
        idle_timeout_seconds: float,
        total_timeout_seconds: float | None,
        limit_bytes: int,
        follow: Follow | None,
    ) -> None:
        self._line = line
        self._console = console
        self._timeout = idle_timeout_seconds
        self._total = total_timeout_seconds
        self._follow = follow
        self._output = Capture(limit_bytes)
        self._error = Capture(limit_bytes)
        self._watch = IdleWatch(idle_timeout_seconds)
        self._family = Family()
        self._interpreter = Interpreter(self._family)
        self._unclaimed: set[int] = set()

    async def run(self) -> CommandResult:
        work = asyncio.create_task(self._work())
        try:
            aborted = await self._supervise(work)
            code = -1 if aborted else work.result()
        finally:
            if not work.done() or work.cancelled():
                await self._end(work)
            self._interpreter.close()
        if aborted:
            return CommandResult(output=None, error=self._abort_message(aborted), exit_code=-1)
        return CommandResult(
            output=self._output.text(),
            error=self._error.text(),
            exit_code=1 if code == NOT_RECOGNIZED else code,
        )

    async def _work(self) -> int:
        """Run the line and read both streams to their ends, which background programs may hold open."""
        output, output_end = os.pipe()
        error, error_end = os.pipe()
        self._unclaimed = {output, output_end, error, error_end}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(output, self._output, "Output"))
                group.create_task(self._read(error, self._error, "Error"))
                command = group.create_task(self._interpret(output_end, error_end))
        finally:
            for descriptor in self._unclaimed:  # of tasks that were cancelled before their first step
                os.close(descriptor)
        return command.result()

    async def _interpret(self, output: int, error: int) -> int:
        self._unclaimed -= {output, error}
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            handles = Handles(stdin=nothing, stdout=output, stderr=error)
            return await self._run_dialect(handles)
        finally:
            for descriptor in (nothing, output, error):
                os.close(descriptor)

    async def _run_dialect(self, handles: Handles) -> int:
        page = _CONSOLE_PAGE.search(self._line)
        own = self._line[: page.start()] if page else self._line
        if decide_dialect(own, self._console.variables()) is Dialect.CMD:
            return await self._interpreter.run_line(self._line, self._console, handles=handles)
        code = await self._interpreter.run_posix(own, self._console, handles=handles)
        if page:
            await self._interpreter.run_line("echo. & cd", self._console, handles=handles)
        return code

    async def _read(self, descriptor: int, capture: Capture, name: str) -> None:
        self._unclaimed.discard(descriptor)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        file = os.fdopen(descriptor, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        try:
            while chunk := await reader.read(_CHUNK):
                capture.feed(chunk)
                if self._follow is not None:
                    self._follow(name, chunk)
                self._watch.touch(loop.time())
        finally:
            transport.close()

    async def _supervise(self, work: asyncio.Task[int]) -> str:
        """Wait for the end, looking once a second (§1.6); return why the command must be aborted, if it must."""
        loop = asyncio.get_running_loop()
        deadline = None if self._total is None else loop.time() + self._total
        self._watch.touch(loop.time())
        poll = min(_POLL_SECONDS, self._timeout / 4, (self._total or self._timeout) / 4)
        while not work.done():
            await asyncio.wait([work], timeout=poll)
            if not work.done() and deadline is not None and loop.time() > deadline:
                return (
                    f"because it ran for longer than {self._total:g} seconds. "
                    "Raise the app setting HOMEPORT_COMMAND_TIMEOUT if it needs more time.\n"
                )
            if work.done() or not self._watch.is_due(loop.time()):
                continue
            activity = await asyncio.to_thread(self._family.cpu_seconds) + self._interpreter.pulse.beats
            if not work.done() and self._watch.is_idle(activity, loop.time()):
                return (
                    f"due to no output nor CPU activity for {self._timeout:g} seconds. "
                    "Raise the app setting SCM_COMMAND_IDLE_TIMEOUT (in a web job: WEBJOBS_IDLE_TIMEOUT) "
                    "if it needs more time.\n"
                )
        return ""

    async def _end(self, work: asyncio.Task[int]) -> None:
        """Stop the line and kill what it started, whether or not it is still in the tree."""
        self._interpreter.close()
        work.cancel()
        await asyncio.to_thread(self._family.kill)
        with contextlib.suppress(asyncio.CancelledError):
            await work

    def _abort_message(self, why: str) -> str:
        words = self._line.split(maxsplit=1)
        rest = words[1] if len(words) > 1 else ""
        shown = f"{words[0] if words else ''} {rest[:15]}{'...' if len(rest) > 15 else ''}".strip()
        return f"Command '{shown}' was aborted {why}"
