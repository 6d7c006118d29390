"""The lines of a batch file: joined at carets, gathered into statements, found by label."""

import re
from collections.abc import Sequence

from homeport.windows.cmd.parser import parse
from homeport.windows.cmd.syntax import CommandSyntaxError

_BLOCK_LINES = 500


def batch_lines(text: str) -> list[str]:
    """Split a batch file into lines; one that ends in a caret goes on in the next."""
    lines: list[str] = []
    joining = False
    for line in text.splitlines():
        carets = len(line) - len(line.rstrip("^"))
        kept = line[:-1] if carets % 2 else line
        if joining:
            lines[-1] += kept
        else:
            lines.append(kept)
        joining = carets % 2 == 1
    return lines


def statement_at(lines: Sequence[str], position: int) -> tuple[str, int]:
    """Take the lines from `position` that make one statement, a block's to its end; and the line after it."""
    for end in range(position + 1, min(len(lines), position + _BLOCK_LINES) + 1):
        text = "\n".join(lines[position:end])
        try:
            parse(text)
        except CommandSyntaxError as error:
            if error.incomplete:
                continue
        return text, end
    return lines[position], position + 1


def find_label(lines: Sequence[str], label: str) -> int | None:
    """Find the line of `:label`, None where there is none; `eof` is the end of the file."""
    wanted = label.strip().lower()
    if wanted == "eof":
        return len(lines)
    for position, line in enumerate(lines):
        match = re.match(r"\s*:\s*([^\s:;,=+]+)", line)
        if match and match[1].lower() == wanted:
            return position
    return None
