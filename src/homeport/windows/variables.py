"""`%NAME%` variables: how Windows text names them, and the ones that App Service defines.

IIS hosting reference §10.2 lists the names, §10.4 rule 2 says how a configuration value is expanded.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from homeport.windows.layout import Layout

_REFERENCE = re.compile(r"%([^%]*)%")
_ERASABLE = re.compile(r"\w+")


class Unknown(StrEnum):
    """What becomes of a reference to a variable that is not defined."""

    KEEP = "keep"
    """It stays as it is written: configuration values, the command prompt."""
    ERASE = "erase"
    """It becomes the empty text: PYTHONPATH as wfastcgi reads it (§3.4), lines of a batch file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """A text after expansion, with the names that were replaced and those that nobody defines."""

    text: str
    replaced: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def expand(text: str, variables: Mapping[str, str], *, unknown: Unknown = Unknown.KEEP) -> Expansion:
    """Replace every `%NAME%` by its value; names are compared without case, `%%` stays.

    A value is not expanded again. The closing sign of an unknown name that is kept may open the next one
    (`%no%HOME%` holds a reference to HOME), as Windows reads it.
    """
    return _Expander(text, fold(variables), unknown=unknown).run()


def expand_text(text: str, variables: Mapping[str, str]) -> str:
    """Expand `text` and keep unknown names: the short form of `expand` for callers that report nothing."""
    return expand(text, variables).text


def fold(variables: Mapping[str, str]) -> dict[str, str]:
    """Index `variables` by upper-case name; of two spellings of one name the first counts."""
    folded: dict[str, str] = {}
    for name, value in variables.items():
        folded.setdefault(name.upper(), value)
    return folded


def windows_variables(layout: Layout, *, site: str = "site") -> dict[str, str]:
    r"""Give App Service's folder variables with the text they have there (`D:\home`): for configuration."""
    return {name: make(layout, site)[0] for name, make in _STANDARD.items()}


def linux_variables(layout: Layout, *, site: str = "site") -> dict[str, str]:
    """Give the same variables with the Linux paths that programs in the sandbox can open.

    Those without a counterpart (`SystemRoot`, `ProgramFiles`) keep their Windows text.
    """
    return {name: make(layout, site)[1] for name, make in _STANDARD.items()}


class _Expander:
    def __init__(self, text: str, folded: Mapping[str, str], *, unknown: Unknown) -> None:
        self._text = text
        self._folded = folded
        self._erase = unknown is Unknown.ERASE
        self._replaced: list[str] = []
        self._unknown: list[str] = []

    def run(self) -> Expansion:
        pieces: list[str] = []
        position = 0
        while match := _REFERENCE.search(self._text, position):
            pieces.append(self._text[position : match.start()])
            value = self._value(match[1])
            pieces.append(f"%{match[1]}" if value is None else value)
            position = match.end() - 1 if value is None else match.end()
        pieces.append(self._text[position:])
        return Expansion(text="".join(pieces), replaced=tuple(self._replaced), unknown=tuple(self._unknown))

    def _value(self, name: str) -> str | None:
        value = self._folded.get(name.upper())
        if value is not None and name:
            self._replaced.append(name)
            return value
        if not _ERASABLE.fullmatch(name):
            return None
        self._unknown.append(name)
        return "" if self._erase else None


def _local(folder: str) -> Callable[[Layout, str], tuple[str, str]]:
    return lambda layout, _site: (rf"{layout.drive}\local\{folder}", f"{layout.local}/{folder}")


def _text(template: str) -> Callable[[Layout, str], tuple[str, str]]:
    def make(layout: Layout, site: str) -> tuple[str, str]:
        text = template.format(drive=layout.drive, site=site)
        return text, text

    return make


def _home(layout: Layout, _site: str) -> tuple[str, str]:
    return rf"{layout.drive}\home", layout.home


def _temporary(layout: Layout, _site: str) -> tuple[str, str]:
    return rf"{layout.drive}\local\Temp", layout.temporary


def _expanded(layout: Layout, site: str) -> tuple[str, str]:
    return rf"C:\DWASFiles\Sites\{site}\VirtualDirectory0", layout.home


def _local_expanded(layout: Layout, site: str) -> tuple[str, str]:
    return rf"C:\DWASFiles\Sites\{site}", layout.local


# One row per name: its Windows text and its Linux text.
_STANDARD: Mapping[str, Callable[[Layout, str], tuple[str, str]]] = {
    "HOME": _home,
    "HOMEDRIVE": _text("{drive}"),
    "HOMEPATH": _text(r"\home"),
    "HOME_EXPANDED": _expanded,
    "LOCAL_EXPANDED": _local_expanded,
    "TEMP": _temporary,
    "TMP": _temporary,
    "USERPROFILE": _local("UserProfile"),
    "APPDATA": _local("AppData"),
    "LOCALAPPDATA": _local("LocalAppData"),
    "ProgramData": _local("ProgramData"),
    "SystemDrive": _text("{drive}"),
    "SystemRoot": _text(r"{drive}\Windows"),
    "windir": _text(r"{drive}\Windows"),
    "ProgramFiles": _text(r"{drive}\Program Files"),
    "ProgramFiles(x86)": _text(r"{drive}\Program Files (x86)"),
    "ComSpec": _text(r"{drive}\Windows\system32\cmd.exe"),
    "PATHEXT": _text(".COM;.EXE;.BAT;.CMD;.PY"),
}
