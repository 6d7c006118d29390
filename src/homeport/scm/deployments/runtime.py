"""Which of a site's Pythons a build installs into: the one that web.config names, else the newest one."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from homeport.model.errors import HomeportError, Invalid
from homeport.windows.interpreters import Interpreter, folder_version, recognise_interpreter
from homeport.windows.layout import Layout
from homeport.windows.script_processor import parse_script_processor

_VERSION = re.compile(r"^version(?:_info)?\s*=\s*(\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePython:
    """An interpreter in the site: its folder, and its version as far as `pyvenv.cfg` tells."""

    folder: Path
    version: tuple[int, ...]

    @property
    def program(self) -> Path:
        """The interpreter itself."""
        return self.folder / "bin/python"

    def __str__(self) -> str:
        numbers = ".".join(str(number) for number in self.version)
        return f"Python {numbers} in {self.folder.name}" if numbers else f"the Python in {self.folder.name}"


class NoRuntime(Invalid):
    """The site has no Python; the message says how it gets one."""

    code = "NoRuntime"


def choose_python(home: Path, layout: Layout, *, site: str) -> tuple[SitePython, str]:
    """Return the interpreter to install into, and a sentence where it is not the one that web.config names.

    Raises `NoRuntime` where the site has none.
    """
    installed = _installed(home)
    named = _named(home / "site/wwwroot/web.config", layout)
    for interpreter in named:
        found = _find(interpreter, home, installed)
        if found is not None:
            return found, ""
    if not installed:
        wish = next((name.folder for name in named if folder_version(name.folder)), "python3117x64")
        raise NoRuntime(
            f"The site has no Python to install requirements.txt into. Add one: homeport extension add {site} "
            f"{wish.lower()}"
        )
    newest = max(installed, key=lambda python: python.version)
    if named:
        return (
            newest,
            f"web.config names '{named[0].folder}', which this site does not have: {newest} is used.",
        )
    return newest, ""


def _installed(home: Path) -> list[SitePython]:
    """Return the runtime folders of a site: those directly below home that are virtual environments."""
    return [python for folder in sorted(home.iterdir()) if (python := _python(folder)) is not None]


def _find(interpreter: Interpreter, home: Path, installed: list[SitePython]) -> SitePython | None:
    folded = interpreter.folder.casefold()
    by_name = next((python for python in installed if python.folder.name.casefold() == folded), None)
    if by_name is not None or not interpreter.folder:
        return by_name
    folder = home / interpreter.folder
    return _python(folder) if folder.resolve().is_relative_to(home.resolve()) else None


def _python(folder: Path) -> SitePython | None:
    try:
        text = (folder / "pyvenv.cfg").read_text(errors="replace")
    except OSError:
        return None
    if not (folder / "bin/python").exists():
        return None
    match = _VERSION.search(text)
    version = tuple(int(number) for number in match.groups() if number) if match else ()
    return SitePython(folder=folder, version=version or folder_version(folder.name))


def _named(web_config: Path, layout: Layout) -> list[Interpreter]:
    """Return the interpreters that the handlers of the root web.config name, in their order."""
    try:
        if web_config.stat().st_size > _MOST_BYTES:
            return []
        root = ElementTree.fromstring(web_config.read_bytes())  # noqa: S314 (see the import)
    except (OSError, ElementTree.ParseError):
        return []
    found = []
    for element in root.iter("add"):
        text = element.get("scriptProcessor")
        if not text:
            continue
        try:
            interpreter = recognise_interpreter(parse_script_processor(text).program, layout)
        except HomeportError:
            continue
        if interpreter is not None:
            found.append(interpreter)
    return found
