r"""The CMD prompt on a terminal: reads lines with history and completion, runs them as `/api/command` does.

It runs as a process of its own with the terminal as standard input, output and error. Programs it starts write to the
terminal directly; Ctrl+C goes to them, and what Windows programs would see as `D:\home>` is the prompt.
"""

import asyncio
import contextlib
import os
import signal
import sys
import termios
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings

from homeport.scm.commands.console import Console
from homeport.scm.commands.handles import Handles
from homeport.scm.commands.interpreter import Interpreter, LeaveConsole
from homeport.scm.commands.supervision import Family
from homeport.scm.terminal.completion import Candidate, candidates
from homeport.scm.terminal.marks import OUTPUT_MARK, folder_mark, prompt_mark
from homeport.scm.terminal.session import set_echo
from homeport.windows.cmd.dialect import Dialect, decide_dialect
from homeport.windows.layout import Layout

_HANDLES = Handles(stdin=0, stdout=1, stderr=2)
_LOOK_SECONDS = 0.05
_PATIENCE = 3
_HISTORY = "data/.homeport/console-history"
_BANNER = "Homeport console. Commands are read as cmd.exe reads them; Linux programs work as well.\n"


class Prompt:
    """One console from its first prompt to `exit`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._family = Family()
        self._session: PromptSession[str] = PromptSession(
            history=_history(console.layout.home),
            key_bindings=_NameKeys(console).bindings(),
        )
        self._running: asyncio.Task[int] | None = None
        self._interpreter: Interpreter | None = None
        self._ending: asyncio.Task[None] | None = None
        self._pressed = 0

    async def run(self) -> int:
        """Prompt and run until `exit` or the end of the terminal; returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        _say(_BANNER)
        while True:
            _say(f"\n{folder_mark(self._console.directory)}{prompt_mark(self._console.error_level)}")
            try:
                line = await self._session.prompt_async(
                    f"{self._console.show(self._console.directory)}>", handle_sigint=False
                )
            except KeyboardInterrupt:
                continue
            except EOFError:
                return self._console.error_level
            if not line.strip():
                continue
            _say(OUTPUT_MARK)
            try:
                self._console.error_level = await self._run_line(line)
            except LeaveConsole as leave:
                if not self._pressed:
                    return leave.code
                self._console.error_level = (
                    leave.code
                )  # a built-in command that was interrupted leaves so too

    async def _run_line(self, line: str) -> int:
        loop = asyncio.get_running_loop()
        interpreter = Interpreter(self._family)
        self._pressed = 0
        self._interpreter = interpreter
        self._running = asyncio.create_task(self._interpret(interpreter, line))
        loop.add_signal_handler(signal.SIGWINCH, self._family.signal, signal.SIGWINCH)
        set_echo(0, on=True)
        try:
            return await self._running
        except asyncio.CancelledError:
            _say("^C\n")
            return 1
        finally:
            # What is typed while no prompt waits would show twice.
            set_echo(0, on=False)
            loop.remove_signal_handler(signal.SIGWINCH)
            self._running = None
            interpreter.close()

    async def _interpret(self, interpreter: Interpreter, line: str) -> int:
        if decide_dialect(line, self._console.variables()) is Dialect.CMD:
            return await interpreter.run_typed(line, self._console, handles=_HANDLES)
        return await interpreter.run_posix(line, self._console, handles=_HANDLES)

    def _interrupt(self) -> None:
        """Ctrl+C: tell the programs; the line ends when they have, or at once when pressed three times.

        At the prompt it is a key like others, and between the two there is nothing to interrupt.
        """
        if self._running is None or self._interpreter is None:
            return
        self._pressed += 1
        self._interpreter.interrupt()
        if self._pressed >= _PATIENCE:
            self._running.cancel()
        elif self._pressed == 1:
            self._ending = asyncio.create_task(self._end_after_programs(self._running))

    async def _end_after_programs(self, running: "asyncio.Task[int]") -> None:
        while self._family.is_running() and not running.done():
            await asyncio.wait([running], timeout=_LOOK_SECONDS)
        running.cancel()

    def _hang_up(self) -> None:
        """The page is gone: so is whatever it started."""
        self._family.kill()
        os._exit(128 + signal.SIGHUP)


class _NameKeys:
    """Tab and Shift+Tab go from one fitting name to the next in place, as they do in cmd."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._offers: list[Candidate] = []
        self._before = ""
        self._index = 0

    def bindings(self) -> KeyBindings:
        """Return the keys; Escape empties the line, as in cmd."""
        keys = KeyBindings()
        keys.add("tab")(lambda event: self._move(event.current_buffer, 1))
        keys.add("s-tab")(lambda event: self._move(event.current_buffer, -1))
        keys.add("escape")(lambda event: event.current_buffer.reset())
        return keys

    def _move(self, buffer: Buffer, step: int) -> None:
        document = buffer.document
        if self._offers and document.text_before_cursor == self._shown():
            self._index = (self._index + step) % len(self._offers)
        else:
            self._offers = candidates(document.text_before_cursor, self._console)
            self._before, self._index = document.text_before_cursor, 0 if step > 0 else -1
        if self._offers:
            text = self._shown()
            buffer.document = Document(text + document.text_after_cursor, cursor_position=len(text))

    def _shown(self) -> str:
        offer = self._offers[self._index]
        return self._before[: len(self._before) - offer.length] + offer.text


def _history(home: str) -> History:
    path = Path(home, _HISTORY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _tame_terminal() -> None:
    """Ctrl+Z and Ctrl+\\ would stop or end the prompt itself, for whom nobody waits."""
    with contextlib.suppress(termios.error):
        attributes = termios.tcgetattr(0)
        disabled = os.fpathconf(0, "PC_VDISABLE").to_bytes(1, "little")
        attributes[6][termios.VSUSP] = disabled
        attributes[6][termios.VQUIT] = disabled
        termios.tcsetattr(0, termios.TCSANOW, attributes)


def main() -> None:
    """Run on the terminal that is our standard input."""
    environment = dict(os.environ)
    layout = Layout(
        home=environment["HOME"],
        temporary=environment.pop("HOMEPORT_TEMPORARY"),
        local=environment.pop("HOMEPORT_LOCAL"),
    )
    # The answer to a question about the cursor could reach a program that was started meanwhile.
    os.environ["PROMPT_TOOLKIT_NO_CPR"] = "1"
    _tame_terminal()
    console = Console(layout=layout, directory=str(Path.cwd()), environment=environment)
    sys.exit(asyncio.run(Prompt(console).run()))


if __name__ == "__main__":
    main()
