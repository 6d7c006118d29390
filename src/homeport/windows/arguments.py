r"""Command-line arguments as the Microsoft C runtime splits and quotes them.

IIS hosting reference §10.4 rule 11: double quotes group, backslashes are ordinary except before a double quote,
single quotes are ordinary. A POSIX lexer would eat the backslashes of `D:\home`.
"""

import re
from collections.abc import Sequence

_BLANKS = " \t\r\n"
_NEEDS_QUOTES = re.compile(r'[\s"]')


def split_arguments(text: str) -> tuple[str, ...]:
    r"""Split the part of a command line after the program into arguments.

    Before a double quote, 2n backslashes are n and the quote groups; 2n+1 are n and the quote is literal. Two
    quotes inside a group are one literal quote and the group goes on. Line breaks separate like blanks, because
    XML attributes may be folded. A missing closing quote ends with the text.
    """
    found: list[str] = []
    position = _skip_blanks(text, 0)
    while position < len(text):
        argument, position = _one_argument(text, position)
        found.append(argument)
        position = _skip_blanks(text, position)
    return tuple(found)


def split_raw_arguments(text: str) -> tuple[str, ...]:
    """Split as `split_arguments`, but leave each argument as it is written, with its quotes and backslashes."""
    found: list[str] = []
    position = _skip_blanks(text, 0)
    while position < len(text):
        _, end = _one_argument(text, position)
        found.append(text[position:end])
        position = _skip_blanks(text, end)
    return tuple(found)


def join_arguments(arguments: Sequence[str]) -> str:
    """Quote and join so that `split_arguments` gives the same arguments back."""
    return " ".join(quote_argument(argument) for argument in arguments)


def quote_argument(argument: str) -> str:
    """Quote one argument where it needs it: blanks, double quotes or no text at all."""
    if argument and not _NEEDS_QUOTES.search(argument):
        return argument
    doubled = re.sub(r'(\\*)"', r'\1\1\\"', argument)
    doubled = re.sub(r"(\\+)$", r"\1\1", doubled)
    return f'"{doubled}"'


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANKS:
        position += 1
    return position


def _one_argument(text: str, position: int) -> tuple[str, int]:
    pieces: list[str] = []
    grouped = False
    while position < len(text) and (grouped or text[position] not in _BLANKS):
        backslashes = _count_backslashes(text, position)
        after = position + backslashes
        if text[after : after + 1] != '"':
            pieces.append("\\" * backslashes or text[position])
            position = after if backslashes else position + 1
            continue
        pieces.append("\\" * (backslashes // 2))
        position = after + 1
        if backslashes % 2:
            pieces.append('"')
        elif grouped and text[position : position + 1] == '"':
            pieces.append('"')
            position += 1
        else:
            grouped = not grouped
    return "".join(pieces), position


def _count_backslashes(text: str, position: int) -> int:
    end = position
    while end < len(text) and text[end] == "\\":
        end += 1
    return end - position
