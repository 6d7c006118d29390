r"""Which Python a Windows text means: the interpreter table of IIS hosting reference §10.4 rule 4 and §7.7 rule 1."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from homeport.windows.layout import Layout
from homeport.windows.paths import collapse
from homeport.windows.variables import expand_text, windows_variables

_PROGRAM = re.compile(r"(?:pythonw?(?:\d(?:\.\d{1,2})?)?|py)(?:\.exe)?", re.IGNORECASE)
_FOLDER = re.compile(r"python(?P<digits>\d{2,5})?(?:-?(?P<bits>x64|x86|32|64))?", re.IGNORECASE)
_WFASTCGI = re.compile(r"(?:.*[\\/])?wfastcgi(?:\.py|\.pyc|\.exe|-script\.py)", re.IGNORECASE)
_PROXY = re.compile(r"ptvs_virtualenv_proxy\.", re.IGNORECASE)
_PROGRAM_FOLDERS = frozenset({"scripts", "bin"})


class InterpreterKind(StrEnum):
    """Where the named interpreter would be on App Service."""

    EXTENSION = "extension"
    """A site extension: `D:\\home\\python361x64`."""
    BUILT_IN = "built-in"
    """The platform's own `D:\\Python27` or `D:\\Python34`."""
    MACHINE = "machine"
    """Another folder at the root of a drive: `C:\\python36-32`."""
    ENVIRONMENT = "environment"
    """A virtual environment of the site: `…\\wwwroot\\env\\Scripts\\python.exe`."""
    FOLDER = "folder"
    """A Python uploaded to another folder below home: `D:\\home\\site\\tools\\py\\python.exe`."""
    BARE = "bare"
    """No path: `python`, `python.exe`, `py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """An interpreter that a text names.

    `folder` keeps its spelling: the name of the folder for `EXTENSION`, `BUILT_IN` and `MACHINE`, its path below
    home with `/` for `ENVIRONMENT` and `FOLDER`, empty for `BARE`. `version` is as far as the folder's name says
    (`(3, 6, 1)`, `(2, 7)`, `()`); `bits` is 32, 64 or None.
    """

    kind: InterpreterKind
    folder: str = ""
    version: tuple[int, ...] = ()
    bits: int | None = None


def recognise_interpreter(
    text: str, layout: Layout, *, variables: Mapping[str, str] | None = None
) -> Interpreter | None:
    """Say which interpreter `text` (a program, quotes allowed) means; None when it is another program."""
    parts = _parts(text, layout, variables=variables)
    if parts is None or not parts or not _PROGRAM.fullmatch(parts[-1]):
        return None
    return _from_folders(parts[:-1])


def recognise_site_packages(
    text: str, layout: Layout, *, variables: Mapping[str, str] | None = None
) -> tuple[Interpreter, str] | None:
    r"""Recognise `…\Lib\site-packages[\rest]` below a known interpreter: that interpreter and the rest, with `/`."""
    parts = _parts(text, layout, variables=variables)
    if parts is None:
        return None
    folded = [part.casefold() for part in parts]
    for at in range(1, len(parts) - 1):
        if folded[at : at + 2] == ["lib", "site-packages"]:
            found = _from_folders(parts[:at]) or None
            if found is not None and found.kind is InterpreterKind.FOLDER:
                # `env\Lib\site-packages` carries no Scripts folder that would tell an environment from a copy.
                found = Interpreter(kind=InterpreterKind.ENVIRONMENT, folder=found.folder)
            return None if found is None else (found, "/".join(parts[at + 2 :]))
    return None


def is_wfastcgi(text: str) -> bool:
    r"""Tell whether a script names wfastcgi: `…\wfastcgi.py`, `…\Scripts\wfastcgi.exe`, with or without quotes."""
    return _WFASTCGI.fullmatch(text.strip().strip('"')) is not None


def is_virtualenv_proxy(handler: str) -> bool:
    """Tell whether a WSGI_HANDLER goes through Visual Studio's virtual environment proxy (§9.3)."""
    return _PROXY.match(handler.strip()) is not None


def folder_version(folder: str) -> tuple[int, ...]:
    """Read the version out of a runtime folder or extension id: `python3117x64` → `(3, 11, 7)`.

    After the major digit, a 1 followed by another digit starts a minor version of two digits: no Python 3.1 was
    ever a site extension. Python 2 had one-digit minors only. An unknown form gives `()`.
    """
    match = _FOLDER.fullmatch(folder.casefold().removeprefix("azureappservice-"))
    if match is None or match["digits"] is None:
        return ()
    digits: str = match["digits"]
    two_digits = digits[0] != "2" and digits[1] == "1" and len(digits) > 2
    end = 3 if two_digits else 2
    numbers = (digits[0], digits[1:end], digits[end:])
    return tuple(int(number) for number in numbers if number)


def _from_folders(folders: list[str]) -> Interpreter | None:
    """Decide by the folders in front of the program: `[]` is bare, `[""]` the root of a drive."""
    if not folders:
        return Interpreter(kind=InterpreterKind.BARE)
    if folders[0] != "":
        return None  # relative: the caller maps it against its directory
    inside = folders[1:]
    scripts = bool(inside) and inside[-1].casefold() in _PROGRAM_FOLDERS
    inside = inside[:-1] if scripts else inside
    match [name.casefold() for name in inside]:
        case ["home", name] if _FOLDER.fullmatch(name):
            return _named(InterpreterKind.EXTENSION, inside[1])
        case ["home", _, *_]:
            kind = InterpreterKind.ENVIRONMENT if scripts else InterpreterKind.FOLDER
            return Interpreter(kind=kind, folder="/".join(inside[1:]))
        case ["python27" | "python34"]:
            return _named(InterpreterKind.BUILT_IN, inside[0])
        case [name] if _FOLDER.fullmatch(name):
            return _named(InterpreterKind.MACHINE, inside[0])
        case _:
            return None


def _named(kind: InterpreterKind, folder: str) -> Interpreter:
    match = _FOLDER.fullmatch(folder)
    bits = match["bits"] if match else None
    width = None if bits is None else 64 if bits.endswith("64") else 32
    return Interpreter(kind=kind, folder=folder, version=folder_version(folder), bits=width)


def _parts(text: str, layout: Layout, *, variables: Mapping[str, str] | None) -> list[str] | None:
    """Split into components; the first is empty for an absolute path. None for a network share."""
    known = windows_variables(layout) if variables is None else variables
    path = expand_text(text.strip().strip('"'), known).replace("\\", "/")
    if path.startswith("//"):
        return None
    if path == layout.home or path.startswith(f"{layout.home}/"):
        path = "/home" + path[len(layout.home) :]
    drive = re.match(r"[A-Za-z]:(?=/)", path)
    parts = [part for part in path[drive.end() if drive else 0 :].split("/") if part]
    return ["", *collapse(parts)] if drive or path.startswith("/") else parts
