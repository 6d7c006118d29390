"""`echo`, `findstr`, `find`."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.handles import Streams
from homeport.windows.cmd.words import Operands, split_operands
from homeport.windows.wildcards import match_names

_FINDSTR = r"[belrsivxnmop]|offline|a:\w*"
_PHRASE = re.compile(r'/c:(?:"([^"]*)"?|(\S+))', re.IGNORECASE)
_CLASS = re.compile(r"\[[^\]]*\]")


def echo(_console: Console, tail: str, streams: Streams) -> int:
    """`echo`: print the rest as it is; `echo.` an empty line; the first separator goes."""
    text = tail[1:] if tail[:1] in tuple(" \t.,;:=+/\\([]") and tail else tail
    if not tail.strip():
        streams.line("ECHO is off.")
    elif text.strip().lower() not in {"on", "off"}:
        streams.line(text)
    return 0


def findstr(console: Console, tail: str, streams: Streams) -> int:
    """`findstr`: print the lines in which one of the words (or `/c:"a text"`) is found; 1 when there is none."""
    phrases = [match[1] if match[1] is not None else match[2] for match in _PHRASE.finditer(tail)]
    operands = split_operands(_PHRASE.sub(" ", tail), switches=_FINDSTR, only_blanks=True)
    words = list(operands.words)
    if not phrases and not words:
        raise CommandFailure("FINDSTR: Bad command line", code=2)
    texts = phrases or words.pop(0).split()
    search = _Search(matches=_matcher(operands, texts, phrases=bool(phrases)), operands=operands)
    return search.run(console, words, streams)


def find(console: Console, tail: str, streams: Streams) -> int:
    """`find "text"`: the Windows form, with `/v`, `/c`, `/n`, `/i`; the Unix program has the other forms."""
    match = re.match(r'\s*((?:/[vcni]\s*)*)"((?:[^"]|"")*)"(.*)', tail, re.IGNORECASE | re.DOTALL)
    assert match is not None, "the interpreter asked is_windows_find"
    operands = split_operands(match[1] + match[3], switches="[vcni]")
    text = match[2].replace('""', '"')
    search = _Search(matches=_matcher(operands, [text], phrases=True), operands=operands, literal=True)
    return search.run(console, list(operands.words), streams)


def is_windows_find(tail: str) -> bool:
    """Whether the text behind `find` is that of the Windows program."""
    return re.match(r'\s*(?:/[vcni]\s*)*"', tail, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    matches: Callable[[str], bool]
    operands: Operands
    literal: bool = False

    def run(self, console: Console, words: list[str], streams: Streams) -> int:
        if not words:
            return 0 if self._lines(_input_lines(streams), prefix="", streams=streams) else 1
        paths = [path for word in words for path in self._files(console, word, streams)]
        several = len(paths) > 1 or any("*" in word or "?" in word for word in words)
        found = 0
        for path in paths:
            streams.check()
            title = f"{path.name}:" if several and not self.literal else ""
            if self.literal:
                streams.write(f"\n---------- {path.name.upper()}{': ' if self._counts() else chr(10)}")
            found += self._lines(_file_lines(path), prefix=title, streams=streams)
        return 0 if found else 1

    def _files(self, console: Console, word: str, streams: Streams) -> list[Path]:
        found = [path for path in console.matches(word) if path.is_file()]
        if self.operands.has("/s"):
            pattern = word.replace("\\", "/").rsplit("/", 1)[-1]
            start = console.locate(word[: len(word) - len(pattern)] or ".")
            below = [path for path in sorted(start.rglob("*")) if path.is_file()]
            found = [path for path in below if match_names(pattern, [path.name])]
        if not found:
            streams.error(f"FINDSTR: Cannot open {word}" if not self.literal else f"File not found - {word}")
        return found

    def _counts(self) -> bool:
        return self.literal and self.operands.has("/c")

    def _lines(self, lines: Iterator[str], *, prefix: str, streams: Streams) -> int:
        found = 0
        for number, line in enumerate(lines, start=1):
            streams.check()
            if self.matches(line) is self.operands.has("/v"):
                continue
            found += 1
            if self.operands.has("/m") and not self.literal:
                streams.line(prefix.rstrip(":"))
                return found
            if not self._counts():
                streams.line(prefix + self._number(number) + line)
        if self._counts():
            streams.line(str(found))
        return found

    def _number(self, number: int) -> str:
        if not self.operands.has("/n"):
            return ""
        return f"[{number}]" if self.literal else f"{number}:"


def _matcher(operands: Operands, texts: list[str], *, phrases: bool) -> Callable[[str], bool]:
    """Build the test of one line: literal texts for `/l` and `/c:`, expressions for `/r` and otherwise."""
    literal = operands.has("/l") or (phrases and not operands.has("/r"))
    patterns = [re.escape(text) if literal else _expression(text) for text in texts]
    joined = "|".join(f"(?:{pattern})" for pattern in patterns)
    if operands.has("/x"):
        joined = f"^(?:{joined})$"
    elif operands.has("/b"):
        joined = f"^(?:{joined})"
    elif operands.has("/e"):
        joined = f"(?:{joined})$"
    try:
        compiled = re.compile(joined, re.IGNORECASE if operands.has("/i") else 0)
    except re.error as exc:
        raise CommandFailure(f"FINDSTR: Bad expression ({exc})", code=2) from exc
    return lambda line: compiled.search(line) is not None


def _expression(text: str) -> str:
    r"""Translate an expression of findstr: `.`, `*`, `^`, `$`, `[set]`, `\<`, `\>` and `\x`; the rest is literal."""
    pieces: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            following = text[position + 1]
            pieces.append(r"\b" if following in "<>" else re.escape(following))
            position += 2
        elif character == "[" and (match := _CLASS.match(text, position)):
            pieces.append(match[0].replace("\\", r"\\"))
            position = match.end()
        else:
            special = character in ".^$" or (character == "*" and pieces)
            pieces.append(character if special else re.escape(character))
            position += 1
    return "".join(pieces)


def _input_lines(streams: Streams) -> Iterator[str]:
    rest = b""
    for chunk in streams.chunks():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.rstrip(b"\r").decode("utf-8", "surrogateescape") for line in lines)
    if rest:
        yield rest.decode("utf-8", "surrogateescape")


def _file_lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline=None) as file:
        for line in file:
            yield line.removesuffix("\n")
