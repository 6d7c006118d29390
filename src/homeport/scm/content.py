"""The files of a site's content: named and read within bounds, links not followed."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from homeport.scm.atomic_file import read_small

MOST_FILES = 20_000
"""Files that are looked at by name; web.config files are found beyond them."""
_MOST_FOLDERS = 20_000
_FILE_BYTES = 1024 * 1024
_DEEPEST = 24
_SKIPPED = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".tox", ".mypy_cache"})
_PACKAGE_FOLDERS = frozenset({"site-packages", "dist-packages"})


class ContentFile(NamedTuple):
    """A file of the content: its path there, the last part of it, and whether it lies inside installed packages."""

    path: str
    name: str
    packaged: bool


@dataclass(slots=True, kw_only=True)
class Content:
    """What lies in a folder that is, or is about to become, a site's content; `cut_off` where that is too much."""

    root: Path
    entries: list[ContentFile] = field(default_factory=list)
    cut_off: bool = False

    def names(self, path: str) -> list[str] | None:
        """List a folder below the root, None where there is none."""
        return folder_names(self.root / path)

    def read(self, path: str, *, limit: int = _FILE_BYTES) -> bytes | None:
        """Read a regular file of at most `limit` bytes below the root, None where it is none."""
        return read_small(self.root / path, limit=limit)

    def configuration(self) -> dict[str, bytes]:
        """Read the web.config files, by folder."""
        files: dict[str, bytes] = {}
        for entry in self.entries:
            if entry.name.lower() == "web.config" and (data := self.read(entry.path)) is not None:
                files[entry.path.rpartition("/")[0]] = data
        return files


def list_content(root: Path) -> Content:
    """List the files below a folder."""
    content = Content(root=root)
    for number, (folder, folders, names) in enumerate(os.walk(root)):
        if number >= _MOST_FOLDERS:
            content.cut_off = True
            break
        if "pyvenv.cfg" in names and Path(folder) != root:
            folders.clear()  # a virtual environment: nothing in it is the site's own
            content.entries += _windows_program(Path(folder), root)
            continue
        below = Path(folder).relative_to(root).as_posix()
        prefix = "" if below == "." else f"{below}/"
        parts = PurePosixPath(below.lower()).parts
        folders[:] = [] if len(parts) > _DEEPEST else sorted(each for each in folders if each not in _SKIPPED)
        packaged = not _PACKAGE_FOLDERS.isdisjoint(parts)
        for name in sorted(names):
            if len(content.entries) >= MOST_FILES and name.lower() != "web.config":
                content.cut_off = True
            else:
                content.entries.append(ContentFile(prefix + name, name, packaged))
    return content


def _windows_program(environment: Path, root: Path) -> list[ContentFile]:
    """Give the file that tells a virtual environment made on Windows from one that runs here."""
    scripts = [name for name in folder_names(environment) or () if name.lower() == "scripts"]
    found = [
        environment / folder / name for folder in scripts for name in folder_names(environment / folder) or ()
    ]
    return [
        ContentFile(path.relative_to(root).as_posix(), path.name, packaged=True)
        for path in found
        if path.name.lower() == "python.exe"
    ]


def folder_names(folder: Path) -> list[str] | None:
    """Name what is in a folder, sorted; None where there is no folder that may be read."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 (names alone are wanted)
    except OSError:
        return None


def sandbox_lister(places: Mapping[str, Path]) -> Callable[[str], list[str] | None]:
    """Make a `ListFolder` that shows folders at paths of the sandbox, `/home` and the like, and what is above them."""

    def list_folder(path: str) -> list[str] | None:
        clean = path.rstrip("/")
        above = [at for at in places if f"{clean}/".startswith(f"{at}/")]
        if above:
            at = max(above, key=len)
            return folder_names(places[at] / clean[len(at) :].lstrip("/"))
        return (
            sorted({at[len(clean) + 1 :].partition("/")[0] for at in places if at.startswith(f"{clean}/")})
            or None
        )

    return list_folder
