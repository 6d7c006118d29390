r"""`%NAME%` as cmd.exe expands it, before a line is parsed.

At the prompt an undefined name stays as written; in a batch file it vanishes, `%%` is `%`, and `%0` to `%9`, `%*`
and `%~dp0` are the file's arguments. Both know `%NAME:old=new%` and `%NAME:~start,length%`.
"""

import ntpath
import re
from collections.abc import Mapping, Sequence

from homeport.windows.variables import fold

_SUBSTRING = re.compile(r"~(-?\d+)(?:,(-?\d+))?")
_ARGUMENT = re.compile(r"%(?:(?P<all>\*)|(?P<plain>\d)|~(?P<modifiers>[fdpnx]*)(?P<modified>\d))")
_LOOP = r"%(?:~(?P<modifiers>[fdpnxFDPNX]*))?{variable}"


def expand_prompt(line: str, variables: Mapping[str, str]) -> str:
    """Expand a line typed at the prompt."""
    folded = fold(variables)
    pieces: list[str] = []
    position = 0
    while (start := line.find("%", position)) >= 0:
        end = line.find("%", start + 1)
        value = None if end < 0 else _value(line[start + 1 : end], folded)
        pieces.append(line[position:start])
        pieces.append("%" if value is None else value)
        position = start + 1 if value is None else end + 1
    return "".join(pieces) + line[position:]


def expand_batch(line: str, variables: Mapping[str, str], *, arguments: Sequence[str]) -> str:
    """Expand a line of a batch file; `arguments[0]` is the file's own path as Windows text."""
    folded = fold(variables)
    pieces: list[str] = []
    position = 0
    while (start := line.find("%", position)) >= 0:
        pieces.append(line[position:start])
        piece, position = _batch_reference(line, start, folded=folded, arguments=arguments)
        pieces.append(piece)
    return "".join(pieces) + line[position:]


def substitute_loop(text: str, variable: str, *, value: str) -> str:
    """Replace `%x` and `%~nx` of a `for` by its value; `variable` is one letter, whose case counts."""
    pattern = re.compile(_LOOP.format(variable=re.escape(variable)))
    return pattern.sub(
        lambda match: value if match["modifiers"] is None else _modified(value, match["modifiers"]), text
    )


def _batch_reference(
    line: str, start: int, *, folded: Mapping[str, str], arguments: Sequence[str]
) -> tuple[str, int]:
    if line.startswith("%%", start):
        return "%", start + 2
    if match := _ARGUMENT.match(line, start):
        return _argument(match, arguments), match.end()
    end = line.find("%", start + 1)
    if end < 0:
        return "", start + 1
    return _value(line[start + 1 : end], folded) or "", end + 1


def _argument(match: re.Match[str], arguments: Sequence[str]) -> str:
    if match["all"]:
        return " ".join(arguments[1:])
    index = int(match["plain"] or match["modified"])
    value = arguments[index] if index < len(arguments) else ""
    return value if match["plain"] else _modified(value, match["modifiers"])


def _modified(value: str, modifiers: str) -> str:
    """Apply `~`: without letters the quotes go; d, p, n, x select the drive, folder, name and extension."""
    bare = value.strip('"')
    wanted = modifiers.lower()
    if not wanted or "f" in wanted:
        return bare
    drive, path = ntpath.splitdrive(bare)
    folder, name = ntpath.split(path)
    stem, extension = ntpath.splitext(name)
    folder = folder if not folder or folder.endswith(("\\", "/")) else folder + "\\"
    parts = {"d": drive, "p": folder, "n": stem, "x": extension}
    return "".join(part for letter, part in parts.items() if letter in wanted)


def _value(reference: str, folded: Mapping[str, str]) -> str | None:
    name, colon, modifier = reference.partition(":")
    value = folded.get(name.upper())
    if value is None or not colon:
        return value
    if match := _SUBSTRING.fullmatch(modifier):
        return _substring(value, int(match[1]), None if match[2] is None else int(match[2]))
    old, equals, new = modifier.partition("=")
    if not equals or not old.strip("*"):
        return None
    if old.startswith("*"):
        at = value.lower().find(old[1:].lower())
        return value if at < 0 else new + value[at + len(old) - 1 :]
    return re.sub(re.escape(old), lambda _match: new, value, flags=re.IGNORECASE)


def _substring(value: str, start: int, length: int | None) -> str:
    begin = max(0, len(value) + start) if start < 0 else start
    if length is None:
        return value[begin:]
    return value[begin : begin + length] if length >= 0 else value[begin:length]
