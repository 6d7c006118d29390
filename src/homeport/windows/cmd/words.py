"""The name of a command and the rest of its text."""

import re

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
