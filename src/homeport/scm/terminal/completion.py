"""Names that Tab offers at the CMD prompt: files and folders, and in the first word programs and commands too."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from homeport.scm.commands.built_ins.table import BUILT_IN_TABLE
from homeport.scm.commands.console import CommandFailure, Console

_WORD = re.compile(r'(?:"[^"]*"?|[^\s"&|<>();,=])*\Z')
_NEEDS_QUOTES = re.compile(r"[\s&()\[\]{}^=;!'+,`~]")
_FOLDERS_ONLY = frozenset({"cd", "chdir", "pushd", "rd", "rmdir", "md", "mkdir"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One offer: `text` replaces the last `length` characters."""

    text: str
    length: int


def candidates(line: str, console: Console) -> list[Candidate]:
    """Return what the word at the end of `line` can become, in the order of names, folders and files mixed as cmd does."""
    found = _WORD.search(line)
    word = found.group() if found else ""
    before = line[: len(line) - len(word)].strip()
    bare = word.replace('"', "")
    cut = max(bare.rfind("\\"), bare.rfind("/")) + 1
    head, start = bare[:cut], bare[cut:].casefold()
    first = re.split(r"[&|(]", before)[-1].strip() == ""
    command = re.split(r"[&|(]", line)[-1].strip().split(" ")[0].casefold()
    names = sorted(
        _names(console, head, folders_only=command in _FOLDERS_ONLY and not first), key=str.casefold
    )
    if first and not head:
        names += [name for name in sorted(BUILT_IN_TABLE) if name not in names]
    return [
        Candidate(text=_quoted(head + name), length=len(word))
        for name in names
        if name.casefold().startswith(start)
    ]


def _names(console: Console, head: str, *, folders_only: bool) -> Iterator[str]:
    try:
        folder = console.locate(head or ".")
    except CommandFailure:
        return
    for name in console.files.list_folder(str(folder)) or ():
        path = Path(folder, name)
        if (name.isprintable() and not folders_only) or path.is_dir():
            yield name


def _quoted(text: str) -> str:
    return f'"{text}"' if _NEEDS_QUOTES.search(text) else text
