"""What `for` goes through: words, files, folders, numbers, and tokens of lines."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

from homeport.scm.commands.console import CommandFailure, Console
from homeport.windows.cmd.expansion import substitute_loop
from homeport.windows.cmd.syntax import For, ForKind, Node
from homeport.windows.wildcards import has_wildcards

_T = TypeVar("_T")
_INCORRECT = "The syntax of the command is incorrect."


def loop_values(node: For, console: Console, *, output: str) -> Iterator[Mapping[str, str]]:
    """Give each round's variables; `output` is that of the command of a `for /f`.

    Raises `CommandFailure` for numbers or options that cannot be read.
    """
    match node.kind:
        case ForKind.NUMBERS:
            numbers = _numbers(node.source)
            return ({node.variable: str(number)} for number in numbers)
        case ForKind.LINES:
            tokens = _tokens(node.option)
            lines = _lines(node, console, output=output, tokens=tokens)
            return (found for line in lines if (found := tokens.cut(line, node.variable)))
        case ForKind.TREE:
            return ({node.variable: value} for value in _tree(node, console))
        case _:
            folders = node.kind is ForKind.FOLDERS
            return ({node.variable: value} for value in _items(node.source, console, folders=folders))


def source_command(node: For) -> str | None:
    """Give the command of a `for /f`: in single quotes, or in backquotes with `usebackq`; None for other forms."""
    if node.kind is not ForKind.LINES:
        return None
    quote = "`" if "usebackq" in node.option.lower() else "'"
    source = node.source
    return source[1:-1] if len(source) > 1 and source[0] == source[-1] == quote else None


def substituted(node: Node, values: Mapping[str, str]) -> Node:
    """Put a round's values into a copy of the body."""
    return _substituted(node, values)


def _substituted(value: _T, values: Mapping[str, str]) -> _T:
    if isinstance(value, str) and type(value) is str:
        text: str = value
        for variable, replacement in values.items():
            text = substitute_loop(text, variable, value=replacement)
        return cast("_T", text)
    if isinstance(value, tuple):
        return cast("_T", tuple(_substituted(item, values) for item in value))
    if is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: _substituted(getattr(value, field.name), values) for field in fields(value)}
        if isinstance(value, For):
            changes["variable"] = value.variable
        return cast("_T", replace(value, **changes))
    return value


def _items(source: str, console: Console, *, folders: bool) -> Iterator[str]:
    for word in re.findall(r'(?:"[^"]*"?|[^\s",;=])+', source):
        bare = word.replace('"', "")
        if not has_wildcards(bare):
            yield word
            continue
        prefix = bare[: max(bare.rfind("\\"), bare.rfind("/")) + 1]
        for path in console.matches(bare):
            if path.is_dir() is folders:
                yield prefix + path.name


def _tree(node: For, console: Console) -> Iterator[str]:
    root = console.locate(node.option or ".")
    folders = [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]
    for folder in folders:
        inner = console.copy()
        inner.directory = str(folder)
        for item in _items(node.source, inner, folders=False):
            yield console.show(str(folder)) + "\\" + item.replace('"', "")


def _numbers(source: str) -> Iterator[int]:
    parts = [part for part in re.split(r"[\s,;]+", source) if part]
    if len(parts) != 3 or not all(re.fullmatch(r"-?\d{1,10}", part) for part in parts):
        raise CommandFailure(_INCORRECT)
    start, step, end = (int(part) for part in parts)
    return _count(start, step, end=end)


def _count(start: int, step: int, *, end: int) -> Iterator[int]:
    number = start
    while number <= end if step >= 0 else number >= end:
        yield number
        number += step


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """`eol= skip= delims= tokens= usebackq` of a `for /f`."""

    delimiters: str = " \t"
    comment: str = ";"
    skip: int = 0
    wanted: tuple[int, ...] = (1,)
    rest: bool = False
    backquotes: bool = False

    def cut(self, line: str, variable: str) -> Mapping[str, str]:
        """Cut a line; nothing for an empty one and a comment."""
        if not line or line.startswith(self.comment or "\0"):
            return {}
        found: list[str] = []
        remaining = line
        while remaining := remaining.lstrip(self.delimiters) if self.delimiters else remaining:
            if self.rest and len(found) == max(self.wanted, default=0):
                break
            end = next((at for at, char in enumerate(remaining) if char in self.delimiters), len(remaining))
            found.append(remaining[:end])
            remaining = remaining[end:]
        if not found and not remaining:
            return {}
        values = [found[at - 1] if at <= len(found) else "" for at in self.wanted]
        if self.rest:
            values.append(remaining)
        return {chr(ord(variable) + offset): value for offset, value in enumerate(values)}


def _tokens(option: str) -> _Tokens:
    tokens = _Tokens()
    for name, value in re.findall(r"(\w+)(?:=(.*?))?(?=\s+(?:eol|skip|tokens|usebackq|delims)\b|$)", option):
        match name.lower():
            case "delims":
                tokens = replace(tokens, delimiters=value)
            case "eol":
                tokens = replace(tokens, comment=value[:1])
            case "skip" if value.strip().isdecimal():
                tokens = replace(tokens, skip=int(value))
            case "tokens":
                tokens = _with_wanted(tokens, value.strip())
            case "usebackq":
                tokens = replace(tokens, backquotes=True)
            case _:
                raise CommandFailure(_INCORRECT)
    return tokens


def _with_wanted(tokens: _Tokens, text: str) -> _Tokens:
    wanted: list[int] = []
    for part in text.removesuffix("*").split(","):
        match = re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", part)
        if match:
            wanted += range(int(match[1]), int(match[2] or match[1]) + 1)
        elif part:
            raise CommandFailure(_INCORRECT)
    return replace(tokens, wanted=tuple(wanted), rest=text.endswith("*"))


def _lines(node: For, console: Console, *, output: str, tokens: _Tokens) -> list[str]:
    if source_command(node) is not None:
        return output.splitlines()[tokens.skip :]
    quote = "'" if tokens.backquotes else '"'
    if len(node.source) > 1 and node.source[0] == node.source[-1] == quote:
        return [node.source[1:-1]]
    lines: list[str] = []
    for word in re.findall(r'(?:"[^"]*"?|[^\s",;=])+', node.source):
        lines += _read(console.locate(word.replace('"', "")), word).splitlines()[tokens.skip :]
    return lines


def _read(path: Path, word: str) -> str:
    try:
        return path.read_text("utf-8", errors="surrogateescape")
    except OSError:
        raise CommandFailure(f"The system cannot find the file {word}.") from None
