r"""Which Linux program a command name means, as a person at a cmd.exe prompt expects it.

Kudu reference §1.4 (the current folder comes first) and §1.7 (`python.exe`, `pip`, `Scripts\pip.exe` of a folder
all reach that folder's Python, never the platform's own). A runtime folder of a site holds `python.exe` (a small
script), `bin/` with the real programs, and `Scripts`, which is `bin`.
"""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from homeport.windows.interpreters import folder_version
from homeport.windows.layout import Layout
from homeport.windows.paths import map_path

_RUNTIME_FOLDER = re.compile(r"python[\w.-]*", re.IGNORECASE)
_PYTHON = re.compile(r"(?:pythonw?|py)(?:\.exe)?", re.IGNORECASE)
_PYTHON_FAMILY = re.compile(
    r"(?:pythonw?(?:\d(?:\.\d{1,2})?)?|py|pip(?:\d(?:\.\d{1,2})?)?)(?:\.exe)?", re.IGNORECASE
)
_EXTENSIONS = (".exe", ".cmd", ".bat", ".py")
_STRIPPED = (".exe", ".com", ".cmd", ".bat")


class Lookup(Protocol):
    """What resolving needs to know of the file system; all paths are Linux paths."""

    def list_folder(self, path: str) -> Sequence[str] | None:
        """Names in a folder, None where there is no folder."""

    def is_file(self, path: str) -> bool:
        """Whether a regular file is there, through links."""

    def is_executable(self, path: str) -> bool:
        """Whether the site's user may execute the file."""


class ProgramKind(StrEnum):
    """How a program is started."""

    EXECUTABLE = "executable"
    BATCH = "batch"
    """A `.cmd` or `.bat` file: read line by line."""
    PYTHON_SCRIPT = "python-script"
    """A `.py` file that was named as a command (App Service has `.PY` in PATHEXT)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that was found: its Linux path and how to start it."""

    path: str
    kind: ProgramKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A Python of the site: its folder (a Linux path) and the version its name tells."""

    folder: str
    version: tuple[int, ...]

    @property
    def bin(self) -> str:
        """The folder of its programs."""
        return f"{self.folder}/bin"


class Missing(StrEnum):
    """Why no program was found."""

    UNKNOWN = "unknown"
    NO_RUNTIME = "no-runtime"
    """A Python or pip was asked for by its bare name, and the site has no runtime."""


def find_runtimes(layout: Layout, lookup: Lookup) -> tuple[Runtime, ...]:
    """Find the site's runtimes, newest first: folders `python*` of home that hold a Python."""
    found = [
        Runtime(folder=f"{layout.home}/{name}", version=folder_version(name))
        for name in lookup.list_folder(layout.home) or ()
        if _RUNTIME_FOLDER.fullmatch(name) and lookup.is_executable(f"{layout.home}/{name}/bin/python")
    ]
    return tuple(sorted(found, key=lambda runtime: (runtime.version, runtime.folder), reverse=True))


def choose_runtime(runtimes: Sequence[Runtime], *, directory: str) -> Runtime | None:
    """Choose the Python of a folder: the runtime that the folder is in, else the newest; None without any."""
    for runtime in runtimes:
        if directory == runtime.folder or directory.startswith(f"{runtime.folder}/"):
            return runtime
    return runtimes[0] if runtimes else None


def resolve_program(
    name: str,
    layout: Layout,
    *,
    directory: str,
    search: Sequence[str],
    runtimes: Sequence[Runtime],
    lookup: Lookup,
) -> Program | Missing:
    r"""Find the program that `name` (without quotes) means in `directory`; `search` is the PATH as Linux folders.

    With a folder in the name, only that place counts, mapped as any path. A bare name is looked for in
    `directory` first, then in `search`. `python`, `pip` and their kin never come from outside the site: after
    `directory` and the folders of `search` below home, the chosen runtime has them.
    """
    if "\\" in name or "/" in name or re.match(r"[A-Za-z]:", name):
        return _at_place(name, layout, directory=directory, lookup=lookup) or Missing.UNKNOWN
    family = _PYTHON_FAMILY.fullmatch(name) is not None
    own = [folder for folder in search if folder.startswith(f"{layout.home}/")]
    for folder in (directory, *(own if family else search)):
        if found := _in_folder(folder, name, lookup):
            return found
    if not family:
        return Missing.UNKNOWN
    runtime = choose_runtime(runtimes, directory=directory)
    if runtime is None:
        return Missing.NO_RUNTIME
    wanted = "python" if _PYTHON.fullmatch(name) else name
    return (
        _in_folder(runtime.bin, wanted, lookup)
        or _in_folder(runtime.folder, wanted, lookup)
        or Missing.UNKNOWN
    )


def _at_place(name: str, layout: Layout, *, directory: str, lookup: Lookup) -> Program | None:
    mapped = map_path(name, layout, variables={}, list_folder=lookup.list_folder, directory=directory)
    if mapped.posix is None:
        return None
    folder, base = posixpath.split(mapped.posix)
    if found := _in_folder(folder, base, lookup):
        return found
    if posixpath.basename(folder).casefold() != "scripts":
        return None
    return _in_folder(posixpath.join(posixpath.dirname(folder), "bin"), base, lookup)


def _in_folder(folder: str, name: str, lookup: Lookup) -> Program | None:
    """Try the name itself, then with each extension, then without its own."""
    listed = lookup.list_folder(folder)
    if not listed:
        return None
    candidates = [name, *(name + extension for extension in _EXTENSIONS)]
    stem, extension = posixpath.splitext(name)
    if extension.lower() in _STRIPPED:
        candidates.append(stem)
    for candidate in candidates:
        for spelled in _spellings(candidate, listed):
            if program := _as_program(posixpath.join(folder, spelled), lookup):
                return program
    return None


def _spellings(name: str, listed: Sequence[str]) -> list[str]:
    folded = name.casefold()
    matching = [candidate for candidate in listed if candidate.casefold() == folded]
    return sorted(matching, key=lambda candidate: candidate != name)


def _as_program(path: str, lookup: Lookup) -> Program | None:
    if not lookup.is_file(path):
        return None
    lower = path.lower()
    if lower.endswith((".cmd", ".bat")):
        return Program(path=path, kind=ProgramKind.BATCH)
    if lookup.is_executable(path):
        return Program(path=path, kind=ProgramKind.EXECUTABLE)
    return Program(path=path, kind=ProgramKind.PYTHON_SCRIPT) if lower.endswith(".py") else None
