"""Finding the CPythons of a machine: pyenv's, uv's, those of /usr/local and of the system."""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from homeport.runtimes.ids import OLDEST

_PROGRAM = re.compile(r"python3\.\d+")
_PROBE_SECONDS = 10
_PROBE = """
import json, sys, sysconfig
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "final": sys.version_info[3] == "final",
    "cpython": sys.implementation.name == "cpython",
    "threads": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "wide": sys.maxsize > 2**32,
    "prefix": sys.prefix,
    "base": sys.base_prefix,
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlace:
    """A folder that holds interpreters: `pattern` finds their programs below `folder`, `source` names it to people."""

    source: str
    folder: Path
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInterpreter:
    """A CPython that runs: its prefix `base` and its program, below `base`, without links."""

    source: str
    version: tuple[int, int, int]
    base: Path
    executable: Path


def machine_places() -> tuple[SearchPlace, ...]:
    """Return where Pythons usually are on this machine, in order of preference."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
    return (
        SearchPlace(source="pyenv", folder=pyenv / "versions", pattern="*/bin/python3.*"),
        SearchPlace(source="uv", folder=uv, pattern="*/bin/python3.*"),
        SearchPlace(source="local", folder=Path("/usr/local"), pattern="bin/python3.*"),
        SearchPlace(source="system", folder=Path("/usr"), pattern="bin/python3.*"),
    )


class InterpreterSearch:
    """Looks at places; what a program said about itself is remembered until the program changes."""

    def __init__(self, places: Iterable[SearchPlace]) -> None:
        self._places = tuple(places)
        self._known: dict[tuple[Path, int, int], FoundInterpreter | None] = {}

    def find(self) -> tuple[FoundInterpreter, ...]:
        """Return the usable interpreters, one for each version: the first place that has it counts."""
        found: dict[tuple[int, int, int], FoundInterpreter] = {}
        for place in self._places:
            for program in _programs(place):
                interpreter = self._look(place, program)
                if interpreter is not None:
                    found.setdefault(interpreter.version, interpreter)
        return tuple(found.values())

    def _look(self, place: SearchPlace, program: Path) -> FoundInterpreter | None:
        status = program.stat()
        key = (program, status.st_mtime_ns, status.st_size)
        if key not in self._known:
            self._known[key] = _probe(place.source, program)
        return self._known[key]


def _programs(place: SearchPlace) -> Iterator[Path]:
    seen = set()
    for path in sorted(place.folder.glob(place.pattern)):
        if not _PROGRAM.fullmatch(path.name):
            continue
        try:
            program = path.resolve(strict=True)
        except (OSError, RuntimeError):  # a dangling link, a loop
            continue
        if program not in seen and os.access(program, os.X_OK):
            seen.add(program)
            yield program


def _probe(source: str, program: Path) -> FoundInterpreter | None:
    """Ask a program what it is; None for what cannot serve a site.

    That is: what does not run, a virtual environment, a pre-release, another implementation, 32 bits, a build
    without the GIL (its extension modules have another ABI), a version before 3.6.
    """
    try:
        answer = subprocess.run(
            (program, "-I", "-c", _PROBE),
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=True,
            timeout=_PROBE_SECONDS,
        )
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    major, minor, micro = facts["version"]
    usable = facts["final"] and facts["cpython"] and facts["wide"] and not facts["threads"]
    if not usable or facts["prefix"] != facts["base"] or (major, minor) < OLDEST:
        return None
    return FoundInterpreter(
        source=source, version=(major, minor, micro), base=Path(facts["base"]), executable=program
    )
