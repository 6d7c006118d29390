"""Reading Python's tracebacks: which exception, and the last line of the application itself."""

import re
from dataclasses import dataclass

_HEAD = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>[^\n]+))?\s*$')
_EXCEPTION = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_IMPORTED = re.compile(r'^"(?P<handler>[^"\n]*)" could not be imported(?:: )?', re.MULTILINE)
_MOST_CHARACTERS = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One line of a traceback: the file as Python named it, its line, and the source text where it is shown."""

    file: str
    line: int
    function: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedTraceback:
    """The exception that ended it; `type` without its module, `frames` outermost first."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()

    def last_below(self, folder: str) -> Frame | None:
        """Return the innermost frame in the site's own files, packages left out.

        `folder` is where the process was started: Python names a script as the command line does, so a relative name
        is one of its files.
        """
        own = [frame for frame in self.frames if _is_own(frame.file, folder.rstrip("/") + "/")]
        return own[-1] if own else None


def _is_own(file: str, folder: str) -> bool:
    inside = file.startswith(folder) or not file.startswith(("/", "<"))
    return inside and "/site-packages/" not in file


def parse_traceback(text: str) -> ParsedTraceback | None:
    """Read the exception that a text ends with; None where it holds no traceback.

    Where WSGI_HANDLER could not be imported, the reason is a traceback inside the message: that one is read.
    """
    text = text[-_MOST_CHARACTERS:]
    outer = _IMPORTED.search(text)
    at = text.rfind(_HEAD)
    if outer is not None:
        inner = text.rfind(_HEAD, outer.end())
        at = inner if inner >= 0 else at
    elif at < 0 and _FRAME.search(text) is None:
        return None
    return _parse(text[max(at, 0) :])


def _parse(text: str) -> ParsedTraceback | None:
    frames: list[Frame] = []
    lines = text.splitlines()
    last: ParsedTraceback | None = None
    for number, line in enumerate(lines):
        match = _FRAME.match(line)
        if match is not None:
            following = lines[number + 1].strip() if number + 1 < len(lines) else ""
            code = "" if _FRAME.match(f"  {following}") else following
            frames.append(
                Frame(
                    file=match["file"], line=int(match["line"]), function=match["function"] or "", code=code
                )
            )
        elif frames and line[:1].strip() and (ending := _EXCEPTION.match(line)) is not None:
            message = [ending["message"] or ""]
            for more in lines[number + 1 : number + 6]:
                if not more.strip() or more.startswith(("StdOut", _HEAD, "During handling", "The above")):
                    break
                message.append(more.strip())
            last = ParsedTraceback(
                type=ending["type"].rpartition(".")[2],
                message=" ".join(part for part in message if part).strip(),
                frames=tuple(frames),
            )
            break
    return last
