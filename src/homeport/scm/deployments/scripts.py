"""Custom deployment commands and post-deployment actions, in the language of `/api/command`.

Kudu reference §12.2 rule 1, §12.3, §12.6.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.scm.deployments.log import DeploymentLog, Kind
from homeport.scm.deployments.output_lines import OutputLines
from homeport.windows.layout import Layout

if TYPE_CHECKING:
    from homeport.scm.commands.execution import CommandResult

_ACTIONS = frozenset({".cmd", ".bat"})
_LOOK_SECONDS = 0.2
_MOST_BYTES = 16 * 1024 * 1024


class ScriptFailed(Exception):
    """A script ended with another code than 0."""


def run_script(
    line: str,
    *,
    directory: Path,
    environment: Mapping[str, str],
    layout: Layout,
    log: DeploymentLog,
    idle_seconds: float,
    checkpoint: Callable[[], None],
) -> None:
    """Run one command line with its output in the log as it comes (§4.5); raises `ScriptFailed`, and what
    `checkpoint` raises.
    """
    # Late: the parser and psutil are a fifth of the cold start, and most deployments have no script.
    from homeport.scm.commands.execution import execute

    said = 0
    lines = {
        "Output": OutputLines(log.child),
        "Error": OutputLines(lambda text: log.child(text, Kind.WARNING)),
    }

    def follow(name: str, data: bytes) -> None:
        nonlocal said
        if data and said < _MOST_BYTES:
            lines[name].feed(data)
        said += len(data)

    async def run() -> "CommandResult":
        command = asyncio.create_task(
            execute(
                line,
                directory=str(directory),
                environment=environment,
                idle_timeout_seconds=idle_seconds,
                layout=layout,
                output_limit_bytes=0,
                follow=follow,
            )
        )
        try:
            while not command.done():
                checkpoint()
                await asyncio.wait([command], timeout=_LOOK_SECONDS)
            return command.result()
        finally:
            command.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await command

    try:
        result = asyncio.run(run())
    finally:
        for each in lines.values():
            each.feed(b"")
    if said > _MOST_BYTES:
        log.child(f"Output beyond {_MOST_BYTES} bytes was left out.", Kind.WARNING)
    if result.output is None:  # it was ended, or could not be started
        log.error(result.error or "")
    if result.exit_code:
        raise ScriptFailed(f"'{line}' ended with exit code {result.exit_code}.")


def post_deployment_actions(folder: Path) -> list[Path]:
    """Return the action scripts of a folder in the order they run in; other files are no actions."""
    try:
        names = sorted(folder.iterdir(), key=lambda path: path.name.casefold())
    except OSError:
        return []
    return [path for path in names if path.suffix.lower() in _ACTIONS and path.is_file()]
