"""`cd`, `dir`, `md`, `rd`, `pushd`, `popd`."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.handles import Streams
from homeport.windows.cmd.words import Operands, split_operands
from homeport.windows.wildcards import has_wildcards, match_names, sort_key

_DIR_SWITCHES = r"[bswlqxcn4pr]|a:?[-dhsrila]*|o:?[-nsedg]*|t:?[acw]"


def change_directory(console: Console, tail: str, streams: Streams) -> int:
    """`cd`: show the folder, or go to one; the whole rest is the path, blanks too."""
    path = re.sub(r"^\s*/d(?=\s|$)", "", tail, flags=re.IGNORECASE).strip().strip('"').rstrip()
    if path:
        console.change_directory(path)
    else:
        streams.line(console.show(console.directory))
    return 0


def push_directory(console: Console, tail: str, streams: Streams) -> int:
    """`pushd`: remember the folder and go to another; without one, list what is remembered."""
    path = tail.strip().strip('"')
    if not path:
        for folder in reversed(console.folders):
            streams.line(console.show(folder))
        return 0
    before = console.directory
    console.change_directory(path)
    console.folders.append(before)
    return 0


def pop_directory(console: Console, _tail: str, _streams: Streams) -> int:
    """`popd`: go back; without a remembered folder nothing happens."""
    if not console.folders:
        return 1
    console.directory = console.folders.pop()
    return 0


def make_directory(console: Console, tail: str, streams: Streams) -> int:
    """`md`: make folders with their parents."""
    operands = split_operands(tail, switches="(?!)")
    if not operands.words:
        raise CommandFailure("The syntax of the command is incorrect.")
    code = 0
    for word in operands.words:
        path = console.locate(word)
        if path.exists():
            streams.error(f"A subdirectory or file {word} already exists.")
            code = 1
        else:
            path.mkdir(parents=True)
    return code


def remove_directory(console: Console, tail: str, streams: Streams) -> int:
    """`rd`: remove empty folders; with `/s /q` whole trees. Without `/q` cmd asks, and nobody answers."""
    operands = split_operands(tail, switches="[sq]")
    if not operands.words:
        raise CommandFailure("The syntax of the command is incorrect.")
    for word in operands.words:
        path = console.locate(word)
        if not path.exists() and not path.is_symlink():
            raise CommandFailure("The system cannot find the file specified.", code=2)
        if path.is_symlink() or not path.is_dir():
            raise CommandFailure("The directory name is invalid.", code=267)
        if not operands.has("/s"):
            _remove_empty(path)
        elif operands.has("/q"):
            shutil.rmtree(path)
        else:
            streams.line(f"{word}, Are you sure (Y/N)? ")
            raise CommandFailure("Nobody can answer here: add /q to remove the folder.")
    return 0


def list_directory(console: Console, tail: str, streams: Streams) -> int:
    """`dir`: names with dates and sizes, or names alone with `/b`; `/s` goes below, `/a` selects, `/o` sorts."""
    operands = split_operands(tail, switches=_DIR_SWITCHES)
    listing = _Listing(console, operands, streams)
    for word in operands.words or (".",):
        listing.add(word)
    return listing.finish()


def _remove_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError as exc:
        raise CommandFailure("The directory is not empty.", code=145) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: str
    path: Path
    is_folder: bool
    size: int
    modified: datetime


class _Listing:
    """One `dir` command: what it prints and counts."""

    def __init__(self, console: Console, operands: Operands, streams: Streams) -> None:
        self._console = console
        self._streams = streams
        self._bare = operands.has("/b")
        self._deep = operands.has("/s")
        self._keeps = _attribute_filter(operands)
        self._order = _order(operands)
        self._files = self._folders = self._bytes = 0
        self._found = self._titled = False

    def add(self, word: str) -> None:
        """List one word: a folder, a file, or a pattern."""
        cut = max(word.rfind("\\"), word.rfind("/")) + 1
        path = None if has_wildcards(word[cut:]) else self._console.locate(word)
        if path is not None and path.is_dir():
            folder, pattern = path, "*"
        elif path is not None:
            folder, pattern = path.parent, path.name
        else:
            folder, pattern = self._console.locate(word[:cut] or "."), word[cut:]
        for place in _walk(folder) if self._deep else (folder,):
            self._streams.check()
            self._list(place, pattern)

    def finish(self) -> int:
        """Print the totals; give the exit code."""
        if not self._found:
            self._streams.error("File Not Found")
            return 1
        if not self._bare:
            free = shutil.disk_usage(self._console.directory).free
            if self._deep:
                self._streams.line("\n     Total Files Listed:")
                self._streams.line(_total(self._files, self._bytes))
            self._streams.line(f"{self._folders:>16} Dir(s)  {free:>14,} bytes free")
        return 0

    def _list(self, folder: Path, pattern: str) -> None:
        entries = self._entries(folder, pattern)
        if not entries:
            return
        self._found = True
        if self._bare:
            for entry in entries:
                if entry.name not in {".", ".."}:
                    self._streams.line(self._console.show(str(entry.path)) if self._deep else entry.name)
            return
        self._print(folder, entries)

    def _entries(self, folder: Path, pattern: str) -> list[_Entry]:
        names = match_names(pattern, self._console.files.list_folder(str(folder)) or ())
        entries = [entry for name in names if (entry := _entry(folder / name)) and self._keeps(entry)]
        entries = self._order(entries)
        if pattern in {"*", "*.*"} and folder.is_dir():
            dots = [_entry(folder / name, name=name) for name in (".", "..")]
            entries[:0] = [entry for entry in dots if entry and self._keeps(entry)]
        return entries

    def _print(self, folder: Path, entries: list[_Entry]) -> None:
        if not self._titled:
            self._streams.line(f" Volume in drive {self._console.layout.drive[0]} is Homeport")
            self._titled = True
        self._streams.line(f"\n Directory of {self._console.show(str(folder))}\n")
        files = [entry for entry in entries if not entry.is_folder]
        for entry in entries:
            middle = f"{'    <DIR>':<18}" if entry.is_folder else f"{entry.size:>18,}"
            self._streams.line(f"{entry.modified:%m/%d/%Y  %I:%M %p}{middle} {entry.name}")
        size = sum(entry.size for entry in files)
        self._streams.line(_total(len(files), size))
        self._files += len(files)
        self._bytes += size
        self._folders += len(entries) - len(files)


def _total(files: int, size: int) -> str:
    return f"{files:>16} File(s) {size:>14,} bytes"


def _entry(path: Path, *, name: str = "") -> _Entry | None:
    try:
        status = path.stat() if path.exists() else path.lstat()
    except OSError:
        return None
    return _Entry(
        name=name or path.name,
        path=path,
        is_folder=path.is_dir(),
        size=status.st_size,
        modified=datetime.fromtimestamp(status.st_mtime).astimezone(),
    )


def _walk(folder: Path) -> Iterator[Path]:
    """Give a folder and those below it, in order; links to folders are not followed."""
    yield folder
    try:
        below = sorted((path for path in folder.iterdir() if _is_real_folder(path)), key=_by_name)
    except OSError:
        return
    for path in below:
        yield from _walk(path)


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _by_name(path: Path) -> tuple[str, str]:
    return sort_key(path.name)


def _attribute_filter(operands: Operands) -> Callable[[_Entry], bool]:
    """`/ad` folders, `/a-d` files, `/ah` hidden ones (of which there are none: a leading dot hides nothing)."""
    wanted = next((given[2:].lstrip(":") for given in operands.switches if given.startswith("/a")), "")
    if "-d" in wanted:
        return lambda entry: not entry.is_folder
    if "d" in wanted:
        return lambda entry: entry.is_folder
    if re.search(r"(?<!-)[hsrl]", wanted):
        return lambda _entry: False
    return lambda _entry: True


def _order(operands: Operands) -> Callable[[list[_Entry]], list[_Entry]]:
    """`/o` with n, s, d, e, g and `-` for the reverse; the first letter counts most."""
    wanted = next(
        (given[2:].lstrip(":") or "gn" for given in operands.switches if given.startswith("/o")), ""
    )
    keys: dict[str, Callable[[_Entry], object]] = {
        "n": lambda entry: sort_key(entry.name),
        "s": lambda entry: entry.size,
        "d": lambda entry: entry.modified,
        "e": lambda entry: entry.path.suffix.casefold(),
        "g": lambda entry: not entry.is_folder,
    }

    def ordered(entries: list[_Entry]) -> list[_Entry]:
        for minus, letter in reversed(re.findall(r"(-?)([nsdeg])", wanted)):
            key = keys[letter]
            entries = sorted(entries, key=lambda entry: key(entry), reverse=bool(minus))  # type: ignore[arg-type, return-value]
        return entries

    return ordered
