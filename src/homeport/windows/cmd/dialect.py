r"""Which shell a command line is written for: cmd.exe, or a POSIX shell.

The console speaks cmd.exe with Unix tools on the PATH (Kudu reference §1.4), so most Unix lines (`ls -la`,
`rm -rf x`, `grep a f | wc -l`, `a && b`) are cmd lines already. A line goes to the POSIX shell when it uses what
only that has, and nothing that only cmd has:

1. It is **cmd** where it names a Windows path (`D:\…`, `\home\…`, `..\x`), a program ending in `.exe`, `.cmd` or
   `.bat`, a defined `%NAME%`, a `for %x`, an `if exist`, or begins with a command that only cmd has (`dir`,
   `type`, `copy`, `set`, …).
2. It is also **cmd** when it begins with `bash`, `sh` or `dash` and holds no single-quoted word: the double-quoted
   script belongs to that shell, which expands its `$NAME` itself.
3. Otherwise it is **POSIX** where it holds, outside double quotes, a single-quoted word, `;` next to a blank,
   backquotes, `&>`, `<<`, `~/`, or, inside double quotes too, `$NAME`, `${…}`, `$(…)`, `$?`; or where it begins
   with `NAME=value command` or a word of the shell's grammar (`export`, `[`, `while`, `for x in`, …).
4. Everything else is **cmd**.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from homeport.windows.variables import fold

_CMD_WORDS = re.compile(
    r"@?(?:assoc|call|cls|copy|del|dir|endlocal|erase|findstr|goto|md|move|popd|pushd|rd|rem|ren|rename|set(?!\s+-)"
    r"|setlocal|start|tasklist|title|type|ver|vol|where)(?![\w-])|if\s+(?:/i\s+)?(?:not\s+)?(?:exist|defined|errorlevel)\b"
    r"|for\s+(?:/\w\s+(?:\"[^\"]*\"\s+)?)?%",
    re.IGNORECASE,
)
_CMD_SIGNS = re.compile(
    r"(?<![\w.])[A-Za-z]:[\\/]|(?:^|[\s=\"])(?:\.{1,2}|[\w.-]+)?\\[\w.]|[\w.-]\.(?:exe|cmd|bat)(?![\w.])",
    re.IGNORECASE,
)
_SHELLS = re.compile(r"(?:/(?:usr/)?bin/)?(?:ba|da)?sh\s", re.IGNORECASE)
_SINGLE_QUOTED = re.compile(r"(?:^|[\s=(|&;<>])'[^']*'")
_POSIX_BARE = re.compile(r";(?=\s|$)|\s;|`[^`]+`|&>|<<|(?:^|[\s=:])~(?=/|\s|$)")
_POSIX_ANYWHERE = re.compile(r"\$(?:[A-Za-z_]|\{|\(|\?)")
_POSIX_START = re.compile(
    r"[A-Za-z_]\w*=\S*\s+\S|(?:export|unset|source|alias|while|until|case|function|test|\.|\[\[?|\{)\s|for\s+\w+\s+in\s|if\s+(?:\[|!|test\s)"
)
_DOUBLE_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"?')


class Dialect(StrEnum):
    """A shell's language."""

    CMD = "cmd"
    POSIX = "posix"


def decide_dialect(line: str, variables: Mapping[str, str]) -> Dialect:
    """Decide which shell runs `line`, by the rule above; `variables` are those that `%NAME%` could mean."""
    text = line.strip()
    bare = _DOUBLE_QUOTED.sub('""', text)
    if _has_cmd_signs(text, bare, variables):
        return Dialect.CMD
    if _SINGLE_QUOTED.search(bare):
        return Dialect.POSIX
    if _SHELLS.match(text):
        return Dialect.CMD
    posix = _POSIX_BARE.search(bare) or _POSIX_ANYWHERE.search(text) or _POSIX_START.match(text)
    return Dialect.POSIX if posix else Dialect.CMD


def _has_cmd_signs(text: str, bare: str, variables: Mapping[str, str]) -> bool:
    if _CMD_WORDS.match(text) or _CMD_SIGNS.search(bare):
        return True
    if any(re.match(r'"?(?:[A-Za-z]:[\\/]|\\\w)', match[0]) for match in _DOUBLE_QUOTED.finditer(text)):
        return True
    folded = fold(variables)
    return any(name.upper() in folded for name in re.findall(r"%([^%:]+)(?=[%:])", bare))
