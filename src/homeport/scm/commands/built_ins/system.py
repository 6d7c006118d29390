"""`cls`, `ver`, `vol`, `where`, `tasklist`, and what does nothing in a console without a screen."""

import contextlib
import os

import psutil

from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.handles import Streams
from homeport.windows.cmd.words import split_operands
from homeport.windows.programs import Program
from homeport.windows.wildcards import has_wildcards

_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


def clear_screen(_console: Console, _tail: str, streams: Streams) -> int:
    """`cls`: clears a terminal with the lines above it; elsewhere it is a form feed, as in cmd."""
    streams.write(_CLEAR if streams.is_terminal() else "\f")
    return 0


def show_version(_console: Console, _tail: str, streams: Streams) -> int:
    """`ver`: says truthfully what this is."""
    streams.line("\nHomeport: a cmd-compatible console on Linux")
    return 0


def show_volume(console: Console, _tail: str, streams: Streams) -> int:
    """`vol`: the drive's name."""
    streams.line(f" Volume in drive {console.layout.drive[0]} is Homeport")
    return 0


def nothing(_console: Console, _tail: str, _streams: Streams) -> int:
    """`title`: there is no window."""
    return 0


def pause(_console: Console, _tail: str, streams: Streams) -> int:
    """`pause`: input is closed, so it goes on at once."""
    streams.line("Press any key to continue . . . ")
    return 0


def where(console: Console, tail: str, streams: Streams) -> int:
    """`where`: the paths of the programs that names mean here."""
    operands = split_operands(tail, switches="[qft]")
    missing = 0
    for word in operands.words:
        found = _where(console, word)
        for path in found:
            streams.line(console.show(path))
        if not found:
            streams.error("INFO: Could not find files for the given pattern(s).")
            missing = 1
    return missing


def list_processes(_console: Console, _tail: str, streams: Streams) -> int:
    """`tasklist`: the site's processes with their memory."""
    streams.line("\nImage Name                     PID Mem Usage")
    streams.line("========================= ======== ============")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid():
                memory = process.memory_info().rss // 1024
                streams.line(f"{process.name():<25.25} {process.pid:>8} {memory:>10,} K")
    return 0


def unavailable_start(_console: Console, _tail: str, _streams: Streams) -> int:
    """`start`: refused with what to use instead."""
    raise CommandFailure(
        "'start' is not available in this console: run the program itself, or as a web job to keep it running."
    )


def _where(console: Console, word: str) -> list[str]:
    if has_wildcards(word):
        folders = [console.directory, *console.search_path()]
        return [str(path) for folder in folders for path in console.matches(f"{folder}/{word}")]
    program = console.find_program(word)
    return [program.path] if isinstance(program, Program) else []
