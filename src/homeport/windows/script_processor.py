r"""`scriptProcessor` of a FastCGI handler: `D:\home\X\python.exe|D:\home\X\wfastcgi.py`.

IIS hosting reference §1.8.
"""

from dataclasses import dataclass

from homeport.model.errors import Invalid
from homeport.windows.arguments import split_arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptProcessor:
    """A program (without its quotes) and the text of its arguments (as written)."""

    program: str
    arguments: str = ""

    @property
    def argument_list(self) -> tuple[str, ...]:
        """The arguments, split as the Microsoft C runtime does."""
        return split_arguments(self.arguments)

    @property
    def key(self) -> tuple[str, str]:
        """What must equal a `<fastCgi><application>`: both halves, without case and without outer quotes."""
        return self.program.casefold(), _unquote(self.arguments).casefold()


def parse_script_processor(text: str) -> ScriptProcessor:
    """Split `program|arguments` at the first `|` outside quotes; there is no third field.

    Raises `Invalid` where no program is named.
    """
    at = _bar(text)
    program = _unquote(text[:at])
    if not program:
        raise Invalid(
            f"scriptProcessor '{text}' names no program: write the path of python.exe, a '|' and the script.",
            code="script-processor.no-program",
        )
    return ScriptProcessor(program=program, arguments=text[at + 1 :].strip())


def registered_processor(full_path: str, arguments: str) -> ScriptProcessor:
    """Make the value for a `<fastCgi><application fullPath= arguments=>`, to compare by `key`."""
    return ScriptProcessor(program=_unquote(full_path), arguments=arguments.strip())


def _bar(text: str) -> int:
    quoted = False
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == "|" and not quoted:
            return position
    return len(text)


def _unquote(text: str) -> str:
    stripped = text.strip()
    if len(stripped) >= 2 and stripped[0] == stripped[-1] == '"' and stripped.count('"') == 2:
        return stripped[1:-1].strip()
    return stripped
