"""The name of a command and the rest of its text."""

import re
from dataclasses import dataclass

BUILT_INS = frozenset(
    {
        *("call", "cd", "chdir", "cls", "copy", "del", "dir", "echo", "endlocal", "erase", "exit", "findstr"),
        *("goto", "md", "mkdir", "more", "move", "pause", "popd", "pushd", "rd", "ren", "rename", "rmdir"),
        *("set", "setlocal", "shift", "start", "tasklist", "title", "type", "ver", "vol", "where"),
    }
)
"""What the console runs itself, in lower case."""

_NAME = re.compile(r'[ \t,;=]*(?:"([^"]*)"?|([^ \t,;=]+))')
_GLUED = re.compile(r"([a-z]+)(?=[./\\:\[\]+(])", re.IGNORECASE)


def split_command(text: str) -> tuple[str, str]:
    r"""Split a command into its name, without quotes, and everything behind it.

    A built-in's name also ends at `. / \ : [ ] + (`: `cd..`, `dir/b`, `echo.`. Another program keeps them, and
    an existing file `echo.exe` or `more.com` is never meant: built-ins come first, as in cmd.
    """
    match = _NAME.match(text)
    if match is None:
        return "", text.strip()
    if match[1] is not None:
        return match[1], text[match.end() :]
    glued = _GLUED.match(match[2])
    if glued and glued[1].lower() in BUILT_INS and not _is_program(match[2]):
        start = match.start(2) + glued.end()
        return glued[1], text[start:]
    return match[2], text[match.end() :]


def _is_program(word: str) -> bool:
    return word.lower().endswith((".exe", ".com", ".cmd", ".bat", ".py"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """What follows a built-in's name: its switches (`/b`, `/o:n`, in lower case) and its other words, unquoted."""

    switches: tuple[str, ...]
    words: tuple[str, ...]

    def has(self, *switches: str) -> bool:
        """Whether any of these switches is there, alone or with a value."""
        return any(
            given == switch or given.startswith(f"{switch}:")
            for given in self.switches
            for switch in switches
        )


def split_operands(tail: str, *, switches: str, only_blanks: bool = False) -> Operands:
    """Split the text behind a built-in's name.

    `switches` is a regular expression for one switch without its `/`: what does not match it is a word, since
    `/home` may be a folder. Switches may be glued (`/s/q`). Double quotes group; a backslash is ordinary. Comma,
    semicolon and equals sign separate as well, unless `only_blanks` do, as for what is a program in Windows.
    """
    known = re.compile(f"(?:/(?:{switches}))+", re.IGNORECASE)
    plain = r'\s"' if only_blanks else r'\s",;='
    found: list[str] = []
    words: list[str] = []
    for match in re.finditer(rf'(?:"[^"]*"?|[^{plain}])+', tail):
        bare = match[0].replace('"', "")
        if known.fullmatch(bare):
            found += [f"/{switch.lower()}" for switch in bare.split("/") if switch]
        elif bare:
            words.append(bare)
    return Operands(switches=tuple(found), words=tuple(words))
