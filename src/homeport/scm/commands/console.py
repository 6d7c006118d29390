"""The state of one console: where it is, its variables, and how it shows and reads paths."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from homeport.scm.commands.filesystem import LinuxFiles
from homeport.windows.layout import Layout
from homeport.windows.pathlist import linux_path_list, map_path_list, windows_path_list
from homeport.windows.paths import MappedPath, is_windows_path, map_path, windows_text
from homeport.windows.programs import Missing, Program, choose_runtime, find_runtimes, resolve_program
from homeport.windows.variables import fold, windows_variables
from homeport.windows.wildcards import has_wildcards, match_names

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NO_PATH = "The system cannot find the path specified."


class CommandFailure(Exception):
    """A command that cannot go on: its message for the error stream, and its exit code."""

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(slots=True, kw_only=True)
class Console:
    """What `cd`, `set`, `pushd` and `exit` change; a stage of a pipe works on a copy.

    `directory` and the values of `environment` are Linux text; `variables()` and `show()` give the Windows text.
    `arguments` are those of the batch file that runs (`%0` first), empty at the prompt.
    """

    layout: Layout
    directory: str
    environment: dict[str, str]
    error_level: int = 0
    folders: list[str] = field(default_factory=list)
    arguments: tuple[str, ...] = ()
    scopes: list[dict[str, str]] = field(default_factory=list)
    files: LinuxFiles = field(default_factory=LinuxFiles)

    def copy(self) -> "Console":
        """Make a console whose changes stay with it."""
        return replace(
            self, environment=dict(self.environment), folders=list(self.folders), scopes=list(self.scopes)
        )

    # Variables

    def variables(self) -> dict[str, str]:
        """What `%NAME%` means: the environment as Windows text, App Service's folders, and cmd's own names."""
        shown = {name: self._shown(name, value) for name, value in self.environment.items()}
        defined = fold(shown)
        platform = windows_variables(self.layout)
        now = datetime.now().astimezone()
        dynamic = {
            "CD": self.show(self.directory),
            "ERRORLEVEL": str(self.error_level),
            "DATE": f"{now:%a %m/%d/%Y}",
            "TIME": f"{now:%H:%M:%S}.{now.microsecond // 10_000:02}",
            "RANDOM": str(random.randrange(32768)),  # noqa: S311 (cmd's %RANDOM%)
        }
        added = {**dynamic, **platform}
        return shown | {name: value for name, value in added.items() if name.upper() not in defined}

    def listed_variables(self) -> list[tuple[str, str]]:
        """What `set` lists, sorted without case."""
        shown = ((name, self._shown(name, value)) for name, value in self.environment.items())
        return sorted(shown, key=lambda pair: pair[0].casefold())

    def assign(self, name: str, value: str) -> None:
        """Set a variable from Windows text, or remove it with an empty value; PATH and whole paths are mapped."""
        key = next((known for known in self.environment if known.upper() == name.upper()), name)
        if not value:
            self.environment.pop(key, None)
        elif key.upper() in {"PATH", "PYTHONPATH"} and ("\\" in value or ";" in value):
            self.environment[key] = linux_path_list(map_path_list(value, self.layout, variables={}))
        else:
            mapped = map_path(value, self.layout, variables={}) if is_windows_path(value) else None
            self.environment[key] = mapped.posix if mapped and mapped.posix else value

    def _shown(self, name: str, value: str) -> str:
        if name.upper() in {"PATH", "PYTHONPATH"}:
            return windows_path_list(value, self.layout)
        roots = (self.layout.home, self.layout.temporary, self.layout.local)
        inside = any(value == root or value.startswith(f"{root}/") for root in roots)
        return windows_text(value, self.layout) if inside and ":" not in value else value

    # Paths

    def show(self, path: str) -> str:
        """Give the Windows text of a Linux path."""
        return windows_text(path, self.layout)

    def map(self, text: str) -> MappedPath:
        """Map a path as typed (its variables are expanded already)."""
        return map_path(
            text, self.layout, variables={}, list_folder=self.files.list_folder, directory=self.directory
        )

    def locate(self, text: str) -> Path:
        """Map a path to where it is or would be; raises `CommandFailure` for one without a Linux path."""
        mapped = self.map(text)
        if mapped.posix is None:
            assert mapped.problem is not None
            raise CommandFailure(f"{_NO_PATH}\n{mapped.problem.message}")
        return Path(mapped.posix)

    def matches(self, text: str) -> list[Path]:
        """Give the paths that a text with wildcards in its last name stands for; of another text itself."""
        cut = max(text.rfind("\\"), text.rfind("/")) + 1
        pattern = text[cut:]
        if not has_wildcards(pattern):
            return [self.locate(text)]
        folder = self.locate(text[:cut] or ".")
        names = self.files.list_folder(str(folder)) or ()
        return [folder / name for name in match_names(pattern, names)]

    def change_directory(self, text: str) -> None:
        """Go to a folder; raises `CommandFailure` where there is none."""
        folder = self.locate(text)
        if not folder.is_dir():
            raise CommandFailure(_NO_PATH)
        self.directory = str(folder)

    # Programs

    def find_program(self, name: str) -> Program | Missing:
        """Find what a command name means here."""
        return resolve_program(
            name,
            self.layout,
            directory=self.directory,
            search=self.search_path(),
            runtimes=find_runtimes(self.layout, self.files),
            lookup=self.files,
        )

    def search_path(self) -> list[str]:
        """The folders that programs are looked for in: the PATH, and behind it the chosen runtime's programs."""
        runtime = choose_runtime(find_runtimes(self.layout, self.files), directory=self.directory)
        folders = (fold(self.environment).get("PATH") or _DEFAULT_PATH).split(":")
        return [*(folder for folder in folders if folder), *([runtime.bin] if runtime else [])]

    def process_environment(self) -> Mapping[str, str]:
        """The environment of a program: `python` and `pip` of its children are the site's, never the platform's."""
        runtime = choose_runtime(find_runtimes(self.layout, self.files), directory=self.directory)
        folders = [folder for folder in self.search_path() if runtime is None or folder != runtime.bin]
        own = [folder for folder in folders if folder.startswith(f"{self.layout.home}/")]
        others = [folder for folder in folders if folder not in own]
        path = ":".join([*own, *([runtime.bin] if runtime else []), *others])
        kept = {name: value for name, value in self.environment.items() if name.upper() != "PATH"}
        return {"LANG": "C.UTF-8", **kept, "PATH": path}
