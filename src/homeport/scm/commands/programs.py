"""Start a program with its arguments and wait for it."""

import asyncio
import errno
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.handles import Handles, Pulse
from homeport.scm.commands.supervision import MARK, Family, signal_group
from homeport.windows.argument_paths import map_argument
from homeport.windows.arguments import split_arguments, split_raw_arguments
from homeport.windows.programs import Missing, Program, ProgramKind
from homeport.windows.wildcards import has_wildcards

NOT_RECOGNIZED = 9009
"""cmd's ERRORLEVEL after an unknown command."""
_SIGNALLED = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A process to start: what `execve` wants, and the folder."""

    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, str]


def find_program(console: Console, name: str) -> Program:
    """Find what a name means; raises `CommandFailure` with cmd's message where it means nothing."""
    found = console.find_program(name)
    if isinstance(found, Program):
        return found
    if found is Missing.NO_RUNTIME:
        site = console.environment.get("WEBSITE_SITE_NAME", "SITE")
        raise CommandFailure(
            f"'{name}': this site has no Python. Install one: homeport extension add {site} python3117x64",
            code=NOT_RECOGNIZED,
        )
    raise CommandFailure(
        f"'{name}' is not recognized as an internal or external command,\noperable program or batch file.",
        code=NOT_RECOGNIZED,
    )


def launch_of(console: Console, program: Program, *, tail: str) -> Launch:
    """Build the launch line of a program from the text behind its name."""
    command = [program.path, *_arguments(console, program, tail=tail)]
    if program.kind is ProgramKind.PYTHON_SCRIPT:
        command.insert(0, find_program(console, "python").path)
    return Launch(
        command=tuple(command), directory=console.directory, environment=console.process_environment()
    )


async def run_program(
    launch: Launch, handles: Handles, *, family: Family, pulse: Pulse, keep_open: Sequence[int] = ()
) -> int:
    """Run one process to its end; give its exit code, 128 + n where signal n ended it.

    `keep_open` are further descriptors that it inherits. When the task is cancelled the process dies with it.
    When `pulse` was stopped while the process was being started, it is killed.
    """
    process = await _start(launch, handles, family=family, keep_open=keep_open)
    family.add(process.pid)
    if pulse.is_stopped:  # Ctrl+C went to the programs that the family knew then
        signal_group(process.pid, signal.SIGKILL)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    finally:
        family.remove(process.pid)
    return code if code >= 0 else _SIGNALLED - code


async def _start(
    launch: Launch, handles: Handles, *, family: Family, keep_open: Sequence[int]
) -> asyncio.subprocess.Process:
    program = launch.command[0]
    try:
        return await asyncio.create_subprocess_exec(
            *launch.command,
            stdin=handles.stdin,
            stdout=handles.stdout,
            stderr=handles.stderr,
            cwd=launch.directory,
            env={**launch.environment, MARK: family.mark},
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
    except OSError as exc:
        if exc.errno == errno.ENOEXEC:
            raise CommandFailure(f"'{program}' is not a program that Linux can run.", code=216) from exc
        raise CommandFailure(f"'{program}' cannot be started: {exc.strerror}.") from exc
    except ValueError as exc:
        raise CommandFailure(f"'{program}' cannot be started: {exc}.") from exc


def _arguments(console: Console, program: Program, *, tail: str) -> list[str]:
    """Split by the C runtime's rules, map Windows paths, and expand unquoted patterns for Unix tools.

    Unix tools on Windows expand patterns themselves; Python and the site's own programs do not.
    """
    unix = not program.path.startswith(f"{console.layout.home}/")
    found: list[str] = []
    for raw in split_raw_arguments(tail):
        value = split_arguments(raw)[0]
        expanded = _expand_pattern(console, value) if unix and '"' not in raw else []
        found += expanded or [_mapped(console, value)]
    return found


def _mapped(console: Console, value: str) -> str:
    return map_argument(
        value,
        console.layout,
        variables={},
        list_folder=console.files.list_folder,
        directory=console.directory,
    ).value


def _expand_pattern(console: Console, value: str) -> list[str]:
    if value.startswith("-") or not has_wildcards(value):
        return []
    try:
        found = console.matches(value)
    except CommandFailure:
        return []
    folder = value[: max(value.rfind("\\"), value.rfind("/")) + 1]
    visible = [path for path in found if not path.name.startswith(".") and path.exists()]
    return [str(path) if folder else path.name for path in visible]
