"""Results on standard output, everything else on standard error; without control codes where nobody looks."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_ESCAPE = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b.?")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Report = Callable[[str, float], None]
"""Takes what is being done and how much of it is done, from 0 to 1."""


def show_json(value: object) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def show_line(text: str = "") -> None:
    """Print a line of a result."""
    print(text, flush=True)


def say(text: str) -> None:
    """Tell a person something that is not the result."""
    print(text, file=sys.stderr, flush=True)


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; a program that reads them gets plain aligned text, one row a line."""
    cells = [[safe(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in header:
            table.add_column(title, overflow="fold")
        for row in cells:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for row in (list(header), *cells):
        show_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def safe(text: str, *, colours: bool = False) -> str:
    """Take out what could steer a terminal: sites' texts are shown here. `colours` leaves colours in."""
    if colours:
        parts = re.split(f"({_COLOUR.pattern})", text)
        return "".join(part if _COLOUR.fullmatch(part) else safe(part) for part in parts)
    return _CONTROL.sub("", _ESCAPE.sub("", text))


@contextmanager
def progress() -> Iterator[Report]:
    """Show progress on standard error: a bar for a person, one line for each new step otherwise."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=30))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda text, fraction: bar.update(task, description=safe(text), completed=fraction)


def _lines() -> Report:
    last = ""

    def report(text: str, _fraction: float) -> None:
        nonlocal last
        if text != last:
            last = text
            say(safe(text))

    return report
