"""A folder as the file browser shows it: sorted, bounded, and searched by name."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from homeport.scm.vfs.places import Place

_MOST_SHOWN = 1000
_MOST_FOUND = 200
_MOST_VISITED = 50_000
_KILO = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row. `path` is the percent-encoded URL path below home, which ends in a slash for a folder."""

    name: str
    path: str
    is_folder: bool
    size: str
    modified: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What is shown of one folder; `left_out` counts the entries beyond those listed."""

    shown: str
    path: str
    parents: tuple[tuple[str, str], ...]
    entries: tuple[Entry, ...]
    left_out: int = 0


def read_folder(place: Place, url_path: str, *, search: str = "") -> Folder:
    """List a folder, folders first; with `search`, what below it has that text in its name. Raises `OSError`."""
    names = [name for name in url_path.split("/") if name]
    base = "/".join(quote(os.fsencode(name), safe="") for name in names)
    base += "/" if base else ""
    if search:
        found = list(_found(place.target, search.casefold()))
        entries = [
            _entry(path, shown=str(path.relative_to(place.target)), root=place.target, base=base)
            for path in found
        ]
        left_out = 0
    else:
        with os.scandir(place.target) as listed:
            paths = [Path(entry.path) for entry in listed]
        entries = [_entry(path, shown=path.name, root=place.target, base=base) for path in paths]
        entries.sort(key=lambda entry: (not entry.is_folder, entry.name.casefold(), entry.name))
        left_out = max(0, len(entries) - _MOST_SHOWN)
    steps = tuple(
        (name, "/".join(quote(os.fsencode(each), safe="") for each in names[: index + 1]) + "/")
        for index, name in enumerate(names)
    )
    return Folder(
        shown=place.shown,
        path=base,
        parents=(("home", ""), *steps),
        entries=tuple(entries[:_MOST_SHOWN]),
        left_out=left_out,
    )


def size_text(size: int) -> str:
    """Return a size in bytes for people: three digits and a unit."""
    if size < _KILO:
        return f"{size} B"
    value = float(size)
    for unit in ("KB", "MB", "GB", "TB"):
        value /= _KILO
        if value < 1000:
            return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
    return f"{value:.0f} TB"


def _entry(path: Path, *, shown: str, root: Path, base: str) -> Entry:
    try:
        found = path.stat()
    except OSError:
        found = path.lstat()
    folder = stat.S_ISDIR(found.st_mode)
    below = "/".join(quote(os.fsencode(part), safe="") for part in path.relative_to(root).parts)
    return Entry(
        name=shown,
        path=f"{base}{below}{'/' if folder else ''}",
        is_folder=folder,
        size="" if folder else size_text(found.st_size),
        modified=f"{datetime.fromtimestamp(found.st_mtime, UTC):%Y-%m-%d %H:%M:%S}",
    )


def _found(root: Path, wanted: str) -> Iterator[Path]:
    """Walk breadth first, links not followed, within bounds."""
    waiting, visited, matches = [root], 0, 0
    while waiting:
        try:
            entries = sorted(os.scandir(waiting.pop(0)), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            visited += 1
            if wanted in entry.name.casefold():
                matches += 1
                yield Path(entry.path)
            if visited >= _MOST_VISITED or matches >= _MOST_FOUND:
                return
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
