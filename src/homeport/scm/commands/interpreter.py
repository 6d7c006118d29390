"""Runs the tree of a command line: built-ins in threads, programs as processes, pipes between them."""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from homeport.scm.commands.built_ins.table import BUILT_IN_TABLE, BuiltIn
from homeport.scm.commands.built_ins.text import find, is_windows_find
from homeport.scm.commands.conditions import holds
from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.handles import Handles, Pulse, Streams, redirected
from homeport.scm.commands.loops import loop_values, source_command, substituted
from homeport.scm.commands.programs import Launch, find_program, launch_of, run_program
from homeport.scm.commands.supervision import Family
from homeport.windows.cmd.batch import batch_lines, find_label, statement_at
from homeport.windows.cmd.expansion import expand_batch, expand_prompt
from homeport.windows.cmd.parser import parse
from homeport.windows.cmd.syntax import (
    AndThen,
    Block,
    CommandSyntaxError,
    For,
    ForKind,
    If,
    Node,
    OrElse,
    Pipe,
    Remark,
    Sequence,
    Simple,
)
from homeport.windows.cmd.words import split_command
from homeport.windows.programs import Program, ProgramKind

_THREADS = 64
_BATCH_DEPTH = 16
_SYNTAX_ERROR = 255
_UNIX_TWINS = frozenset({"mkdir", "rmdir", "more"})
_KEEP_ERROR_LEVEL = frozenset(
    {
        *("cd", "chdir", "cls", "echo", "endlocal", "md", "mkdir", "pause", "popd", "pushd"),
        *("rd", "rmdir", "set", "setlocal", "shift", "title"),
    }
)
_CMD_SWITCHES = re.compile(r"(?:\s*/[a-z](?::\w+)?)+(?=\s|$|\")", re.IGNORECASE)
_SOURCE_LIMIT = 16 * 1024 * 1024
_T = TypeVar("_T")
# $1 is a descriptor on which the shell tells, at its end, the folder that it is in; $2 is the line.
_POSIX = 'trap "pwd >/proc/self/fd/$1 2>/dev/null" EXIT; eval "set --; $2"'


class LeaveConsole(Exception):
    """`exit`: ends the whole line."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class LeaveBatch(Exception):
    """`exit /b` and `goto :eof`: end the batch file, or the label that was called."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class GoTo(Exception):
    """`goto`: go on at a label of the batch file."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label


class Interpreter:
    """Runs lines for one request; `close` lets go of its threads."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self.pulse = Pulse()
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="command")
        self._batch_depth = 0
        self._batch: list[list[str]] = []

    async def run_line(self, line: str, console: Console, *, handles: Handles) -> int:
        """Run a line as typed at the prompt; errors of syntax are printed, `exit` ends the line."""
        try:
            return await self.run_typed(line, console, handles=handles)
        except LeaveConsole as leave:
            return leave.code

    async def run_typed(self, line: str, console: Console, *, handles: Handles) -> int:
        """Run a line of a prompt that goes on: `exit` is the caller's, as `LeaveConsole`."""
        try:
            return await self._run_text(expand_prompt(line, console.variables()), console, handles=handles)
        except LeaveBatch as leave:
            return leave.code
        except GoTo:
            return 0

    async def run_posix(self, line: str, console: Console, *, handles: Handles) -> int:
        """Run a line in the POSIX shell; the folder it ends in is the console's."""
        reading, writing = os.pipe()
        shell = next((path for path in ("/bin/bash", "/usr/bin/bash") if Path(path).exists()), "/bin/sh")
        launch = Launch(
            command=(shell, "-c", _POSIX, Path(shell).name, str(writing), line),
            directory=console.directory,
            environment=console.process_environment(),
        )
        try:
            code = await run_program(
                launch, handles, family=self._family, pulse=self.pulse, keep_open=(writing,)
            )
            os.set_blocking(reading, False)
            console.directory = _last_folder(reading) or console.directory
            return code
        except CommandFailure as failure:
            return await self._fail(failure, handles)
        finally:
            os.close(reading)
            os.close(writing)

    def interrupt(self) -> None:
        """Pass Ctrl+C on: programs are told, built-ins end at their next step, no other command of the line starts."""
        self.pulse.stop()
        self._family.signal(signal.SIGINT)

    def close(self) -> None:
        """Stop the built-ins that still run, and let go of the threads."""
        self.pulse.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # The tree

    async def run(self, node: Node, console: Console, *, handles: Handles) -> int:
        """Run a node; give its exit code, by which `&&` and `||` go on."""
        match node:
            case Remark():
                return 0
            case Sequence(items=items):
                code = 0
                for item in items:
                    code = await self.run(item, console, handles=handles)
                return code
            case AndThen(first=first, second=second):
                code = await self.run(first, console, handles=handles)
                return code or await self.run(second, console, handles=handles)
            case OrElse(first=first, second=second):
                code = await self.run(first, console, handles=handles)
                return await self.run(second, console, handles=handles) if code else 0
            case Pipe(stages=stages):
                return await self._run_pipe(stages, console, handles=handles)
            case If():
                return await self._run_if(node, console, handles=handles)
            case For():
                return await self._run_for(node, console, handles=handles)
            case Block() | Simple():
                return await self._run_redirected(node, console, handles=handles)

    async def _run_redirected(self, node: Block | Simple, console: Console, *, handles: Handles) -> int:
        try:
            with redirected(handles, node.redirections, console=console) as inner:
                if isinstance(node, Block):
                    return await self.run(node.body, console, handles=inner)
                return await self._run_command(node.text, console, handles=inner)
        except CommandFailure as failure:
            console.error_level = failure.code
            return await self._fail(failure, handles)

    async def _run_pipe(self, stages: tuple[Node, ...], console: Console, *, handles: Handles) -> int:
        """Run all stages at once, each on a copy of the console; the last one's exit code counts."""
        ends = [os.pipe() for _ in stages[1:]]
        opened = {descriptor for pair in ends for descriptor in pair}
        inputs = [handles.stdin, *(reading for reading, _ in ends)]
        outputs = [*(writing for _, writing in ends), handles.stdout]

        async def run_stage(index: int) -> int:
            own = replace(handles, stdin=inputs[index], stdout=outputs[index])
            try:
                return await self.run(stages[index], console.copy(), handles=own)
            except (LeaveConsole, LeaveBatch) as leave:
                return leave.code
            except GoTo:
                return 0
            finally:
                for descriptor in {own.stdin, own.stdout} & opened:
                    opened.discard(descriptor)
                    os.close(descriptor)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(run_stage(index)) for index in range(len(stages))]
        finally:
            for descriptor in opened:
                os.close(descriptor)
        console.error_level = tasks[-1].result()
        return console.error_level

    async def _run_if(self, node: If, console: Console, *, handles: Handles) -> int:
        try:
            met = holds(node.condition, console) is not node.negated
        except CommandFailure:
            met = node.negated
        if met:
            return await self.run(node.then, console, handles=handles)
        if node.otherwise is not None:
            return await self.run(node.otherwise, console, handles=handles)
        return console.error_level

    async def _run_for(self, node: For, console: Console, *, handles: Handles) -> int:
        code = console.error_level
        try:
            output = await self._output_of_source(node, console, handles=handles)
            rounds = loop_values(node, console, output=output)
            if node.kind is not ForKind.NUMBERS:  # numbers may have no end, the others look at files
                rounds = iter(await self._in_thread(partial(list, rounds), abandon=_nothing))
        except CommandFailure as failure:
            return await self._fail(failure, handles)
        for values in rounds:
            await asyncio.sleep(0)  # an endless loop of remarks must let the supervisor in
            code = await self.run(substituted(node.body, values), console, handles=handles)
        return code

    async def _output_of_source(self, node: For, console: Console, *, handles: Handles) -> str:
        r"""Run the command of `for /f %x in ('command')`; other forms have none."""
        line = source_command(node)
        if line is None:
            return ""
        reading, writing = os.pipe()
        source = os.fdopen(reading, "rb")

        async def run_command() -> None:
            try:
                await self._run_text(line, console.copy(), handles=replace(handles, stdout=writing))
            except (LeaveConsole, LeaveBatch, GoTo):
                pass  # they leave the command of the source only
            finally:
                os.close(writing)

        def read() -> bytes:
            with source:
                return source.read(_SOURCE_LIMIT)

        async with asyncio.TaskGroup() as group:
            output = group.create_task(self._in_thread(read, abandon=source.close))
            group.create_task(run_command())
        return output.result().decode("utf-8", "replace")

    # One command

    async def _run_text(self, text: str, console: Console, *, handles: Handles) -> int:
        try:
            node = parse(text)
        except CommandSyntaxError as error:
            failure = CommandFailure(str(error), code=_SYNTAX_ERROR)
            console.error_level = await self._fail(failure, handles)
            return console.error_level
        return 0 if node is None else await self.run(node, console, handles=handles)

    async def _run_command(self, text: str, console: Console, *, handles: Handles) -> int:
        """Run one command and set the error level, which some built-ins leave alone when they succeed."""
        if self.pulse.is_stopped:
            raise LeaveConsole(1)
        name, tail = split_command(text)
        if not name or re.fullmatch(r"[A-Za-z]:", name):
            return 0  # a drive: there is one
        lower = name.lower()
        if built_in := _built_in(lower, tail):
            code = await self._run_built_in(built_in, console, tail=tail, handles=handles)
        else:
            code = await self._run_other(name, console, tail=tail, handles=handles)
        if code or lower not in _KEEP_ERROR_LEVEL:
            console.error_level = code
        return code

    async def _run_other(self, name: str, console: Console, *, tail: str, handles: Handles) -> int:
        match name.lower():
            case "call":
                return await self._call(tail, console, handles=handles)
            case "exit":
                raise _leaving(tail, console)
            case "goto":
                raise GoTo(tail.strip().lstrip(":").split(" ")[0])
            case "cmd" | "cmd.exe" if _CMD_SWITCHES.match(tail):
                return await self._run_cmd(tail, console, handles=handles)
        program = find_program(console, name)
        if program.kind is ProgramKind.BATCH:
            return await self._run_batch(program, console, tail=tail, handles=handles)
        launch = launch_of(console, program, tail=tail)
        return await run_program(launch, handles, family=self._family, pulse=self.pulse)

    async def _run_cmd(self, tail: str, console: Console, *, handles: Handles) -> int:
        """`cmd /c line`: the line in a console of its own."""
        line = _CMD_SWITCHES.sub("", tail, count=1).strip()
        if line.startswith('"') and line.endswith('"') and len(line) > 1:
            line = line[1:-1]
        return await self.run_line(line, console.copy(), handles=handles)

    async def _call(self, tail: str, console: Console, *, handles: Handles) -> int:
        """`call`: a label of the batch file, or a command, whose variables are expanded once more."""
        text = tail.strip()
        if text.startswith(":") and self._batch:
            label, _, rest = text[1:].partition(" ")
            inner = (console.arguments[0] if console.arguments else "", *rest.split())
            return await self._run_lines(label, console, arguments=inner, handles=handles)
        expanded = expand_prompt(text, console.variables())
        return await self._run_command(expanded, console, handles=handles)

    async def _run_built_in(self, built_in: BuiltIn, console: Console, *, tail: str, handles: Handles) -> int:
        streams = Streams(handles, self.pulse)

        def run() -> int:
            try:
                return built_in(console, tail, streams)
            except BrokenPipeError:
                raise LeaveConsole(1) from None  # the reader went away: this side of the pipe ends, loops too
            except OSError as exc:
                raise CommandFailure(_os_message(exc)) from exc
            finally:
                streams.close()

        return await self._in_thread(run, abandon=streams.close)

    # Batch files

    async def _run_batch(self, program: Program, console: Console, *, tail: str, handles: Handles) -> int:
        try:
            data = Path(program.path).read_bytes()
        except OSError as exc:
            raise CommandFailure(_os_message(exc)) from exc
        self._batch.append(batch_lines(data.decode("utf-8-sig", "replace")))
        words = re.findall(r'(?:"[^"]*"?|[^\s",;=])+', tail)
        try:
            return await self._run_lines(
                "", console, arguments=(console.show(program.path), *words), handles=handles
            )
        finally:
            self._batch.pop()

    async def _run_lines(
        self, label: str, console: Console, *, arguments: tuple[str, ...], handles: Handles
    ) -> int:
        """Run the batch file on top from a label to its end; its arguments and scopes end with it."""
        if self._batch_depth >= _BATCH_DEPTH:
            raise CommandFailure("Batch files call each other too deeply.")
        lines = self._batch[-1]
        before, scopes = console.arguments, len(console.scopes)
        console.arguments = arguments
        self._batch_depth += 1
        try:
            position = _label_at(lines, label) if label else 0
            while position < len(lines):
                position = await self._run_statement(lines, position, console=console, handles=handles)
            return console.error_level
        except LeaveBatch as leave:
            return leave.code
        finally:
            self._batch_depth -= 1
            console.arguments = before
            while len(console.scopes) > scopes:
                console.environment = console.scopes.pop()

    async def _run_statement(
        self, lines: list[str], position: int, *, console: Console, handles: Handles
    ) -> int:
        """Run the statement that starts at a line; give the line after it, or that of a label."""
        await asyncio.sleep(0)  # a loop of remarks must let the supervisor in
        if lines[position].lstrip().startswith(":"):
            return position + 1
        text, following = statement_at(lines, position)
        expanded = expand_batch(text, console.variables(), arguments=console.arguments)
        try:
            await self._run_text(expanded, console, handles=handles)
        except GoTo as jump:
            if jump.label.lower() == "eof":
                raise LeaveBatch(console.error_level) from None
            return _label_at(lines, jump.label)
        return following

    # Edges

    async def _fail(self, failure: CommandFailure, handles: Handles) -> int:
        """Print a failure to the error stream."""
        streams = Streams(handles, self.pulse)

        def report() -> int:
            try:
                streams.error(failure.message)
            except OSError:
                return failure.code  # nobody listens any more
            finally:
                streams.close()
            return failure.code

        return await self._in_thread(report, abandon=streams.close)

    async def _in_thread(self, work: Callable[[], _T], *, abandon: Callable[[], None]) -> _T:
        """Run blocking work in a thread; `abandon` tidies up when it never got to run."""
        future = self._threads.submit(work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.cancelled():
                abandon()
            raise


def _nothing() -> None:
    """Nothing to tidy up."""


def _built_in(lower: str, tail: str) -> BuiltIn | None:
    """Give the built-in of a name; a Unix twin's options (`mkdir -p`) mean the Unix program."""
    if lower == "find":
        return find if is_windows_find(tail) else None
    if lower in _UNIX_TWINS and re.search(r"(?:^|\s)-\w", tail):
        return None
    return BUILT_IN_TABLE.get(lower)


def _leaving(tail: str, console: Console) -> LeaveConsole | LeaveBatch:
    match = re.fullmatch(r"\s*(/b)?\s*(-?\d+)?.*", tail, re.IGNORECASE | re.DOTALL)
    assert match is not None
    code = int(match[2]) if match[2] else console.error_level
    return LeaveBatch(code) if match[1] else LeaveConsole(code)


def _label_at(lines: list[str], label: str) -> int:
    position = find_label(lines, label)
    if position is None:
        raise CommandFailure(f"The system cannot find the batch label specified - {label}")
    return position


def _last_folder(descriptor: int) -> str | None:
    try:
        text = os.read(descriptor, 64 * 1024).decode("utf-8", "surrogateescape").removesuffix("\n")
    except BlockingIOError:
        return None
    return text or None


def _os_message(exc: OSError) -> str:
    match exc:
        case FileNotFoundError():
            return "The system cannot find the file specified."
        case PermissionError() | IsADirectoryError():
            return "Access is denied."
        case NotADirectoryError():
            return "The directory name is invalid."
        case _:
            return exc.strerror or str(exc)
