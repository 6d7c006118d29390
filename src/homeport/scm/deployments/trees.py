"""A second tree that shares every file with the first: made quickly, changed without the first noticing.

Files are shared as hard links, so a file that is written in place changes in both trees (a database stays one
database), while a file that is replaced or removed in one of them stays in the other. `part_files` gives one tree
copies for as long as programs work in it that may write in place.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = 0
_DATABASE = b"SQLite format 3\0"
_DATABASE_FILES = ("-journal", "-wal", "-shm")
_DATABASE_SECONDS = 5.0
_FICLONE = 0x40049409
Snapshot = Mapping[str, int]
"""What a tree held: relative paths, a parent before what is in it, to the file's inode, or `FOLDER`."""
Changes = Mapping[str, int | None]
"""What is to change in a tree: paths to what was found there, as in `Snapshot`, None where nothing was."""


class Mark(NamedTuple):
    """What tells whether a copy was touched since it was made."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def share_tree(source: Path, target: Path, *, checkpoint: Callable[[], None] = lambda: None) -> Snapshot:
    """Make `target`, a new folder, hold everything of `source`; return what `source` held. Raises `OSError`.

    A file that may not be linked (it belongs to somebody else) is copied. `checkpoint` may raise to stop.
    """
    found: dict[str, int] = {}
    target.mkdir(parents=True)
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        checkpoint()
        with contextlib.suppress(FileNotFoundError), os.scandir(source / prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    found[path] = FOLDER
                    waiting.append(f"{path}/")
                    place = f"{target}/{path}"
                    os.mkdir(place)  # noqa: PTH102 (a third of the time with pathlib)
                    os.chmod(place, entry.stat(follow_symlinks=False).st_mode & 0o777 | 0o700)  # noqa: PTH101
                else:
                    found[path] = entry.inode()
                    with contextlib.suppress(FileNotFoundError):  # it went while we looked
                        _share(entry.path, f"{target}/{path}")
    return found


def copy_tree(source: Path, target: Path, *, checkpoint: Callable[[], None] = lambda: None) -> None:
    """Make `target`, a new folder, hold a copy of everything in `source`. Raises `OSError`.

    SQLite databases are copied as one of their transactions left them.
    """
    for path, inode in share_tree(source, target, checkpoint=checkpoint).items():
        place = target / path
        if inode == FOLDER or not stat.S_ISREG(_mode(place)):
            continue
        checkpoint()
        if not _is_database(source / path):
            unshare(place)
        elif place.name.endswith(_DATABASE_FILES):
            place.unlink()
        else:
            _copy_database(source / path, place)


def carry_changes(source: Path, known: Snapshot, target: Path) -> Snapshot:
    """Do in `target` what happened in `source` since it held `known`, and return what it holds now.

    What `target` has of its own wins: a file that was replaced there is not touched.
    """
    now = look(source)
    for path, inode in now.items():
        if known.get(path) == inode:
            continue
        with contextlib.suppress(OSError):
            if inode == FOLDER:
                (target / path).mkdir(exist_ok=True)
            elif path in known and _is(target / path, known[path]):
                _share_over(source / path, target / path)
            elif path not in known:
                _share(str(source / path), str(target / path))
    for path in reversed(list(known)):
        if path not in now:
            with contextlib.suppress(OSError):
                if known[path] == FOLDER:
                    (target / path).rmdir()
                elif _is(target / path, known[path]):
                    (target / path).unlink()
    return now


def find_changes(source: Path, known: Collection[str], target: Path) -> Changes:
    """Tell what makes `target` hold what `source` holds; of the rest it loses what is among `known`."""
    wanted, there = look(source), look(target)
    return {
        path: there.get(path)
        for path in wanted.keys() | (there.keys() & set(known))
        if wanted.get(path) != there.get(path)
    }


def place_changes(changes: Changes, source: Path, target: Path) -> None:
    """Carry out changes one by one; what is not as it was found is left alone. Raises `OSError`.

    Doing it again finishes what was cut short.
    """
    for path in sorted(changes, reverse=True):
        old, new = changes[path], _entry(source / path)
        if old is None or _entry(target / path) != old:
            continue
        if old == FOLDER:
            with contextlib.suppress(OSError):  # the site put something into it
                (target / path).rmdir()
        elif new in (None, FOLDER):
            (target / path).unlink()
    for path in sorted(changes):
        new = _entry(source / path)
        if new == FOLDER:
            (target / path).mkdir(exist_ok=True)
        elif new is not None and _entry(target / path) in (changes[path], None):
            _share_over(source / path, target / path)


def part_files(
    root: Path, paths: Collection[str] | None, *, checkpoint: Callable[[], None] = lambda: None
) -> Mapping[str, Mark]:
    """Let a tree have `paths` (None: every file) for itself where it shares them; return a mark of each copy.

    SQLite databases stay shared, with the files beside them: their writers lock the one file. Raises `OSError`.
    """
    copies: dict[str, Mark] = {}
    for path, inode in look(root).items():
        if inode == FOLDER or (paths is not None and path not in paths):
            continue
        checkpoint()
        with contextlib.suppress(FileNotFoundError, PermissionError):
            place = root / path
            status = place.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and not _is_database(place):
                unshare(place)
                copies[path] = _mark(place)
    return copies


def share_again(copies: Mapping[str, Mark], source: Path, target: Path) -> list[str]:
    """Let `target` share with `source` what it has as an untouched copy.

    Returns the paths of files that were written in both trees meanwhile; `target` keeps its own.
    """
    written_twice = []
    for path, mark in copies.items():
        here, there = target / path, source / path
        with contextlib.suppress(OSError):
            if _mark(here) == mark:
                _share_over(there, here)
            elif _mark(there)[1:3] != mark[1:3]:
                written_twice.append(path)
    return written_twice


def look(root: Path) -> Snapshot:
    """Return what a tree holds; links are entries, and what cannot be looked into is left out."""
    found: dict[str, int] = {}
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(root / prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    found[path] = FOLDER
                    waiting.append(f"{path}/")
                else:
                    found[path] = entry.inode()
    return found


def remove_tree(root: Path) -> None:
    """Remove a folder with everything in it, folders that forbid it included; what cannot be removed stays."""

    def permit(_function: object, path: str, _error: object) -> None:
        place = Path(path)
        if not os.path.lexists(place):
            return
        with contextlib.suppress(OSError):
            place.parent.chmod(0o700)
            if place.is_dir() and not place.is_symlink():
                place.chmod(0o700)
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)

    shutil.rmtree(root, onerror=permit)
    if root.is_dir() and not root.is_symlink():  # its folders let it now
        shutil.rmtree(root, ignore_errors=True)


def unshare(path: Path) -> None:
    """Make a file one of its own; raises `OSError` (`FileNotFoundError` where there is none)."""
    aside = path.with_name(f".homeport-{uuid.uuid4().hex}")
    try:
        _copy(path, aside)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def _share(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except PermissionError:
        shutil.copy2(source, target, follow_symlinks=False)


def _share_over(source: Path, target: Path) -> None:
    """Let a file take the place of another in one step; where it is gone, the other goes too."""
    aside = target.with_name(f".homeport-{uuid.uuid4().hex}")
    try:
        _share(str(source), str(aside))
    except FileNotFoundError:
        target.unlink()
    else:
        aside.replace(target)


def _copy(source: Path, target: Path) -> None:
    """Copy a file with its times; where the file system can, both share the blocks until one is written."""
    if source.is_symlink():
        shutil.copy2(source, target, follow_symlinks=False)
        return
    with source.open("rb") as read, target.open("xb") as written:
        try:
            fcntl.ioctl(written, _FICLONE, read.fileno())
        except OSError:
            shutil.copyfile(source, target)
    shutil.copystat(source, target)


def _copy_database(source: Path, target: Path) -> None:
    """Replace a shared database by a copy; one that cannot be read as a database is copied as a file."""
    import sqlite3  # late: only previews need it

    aside = target.with_name(f".homeport-{uuid.uuid4().hex}")
    try:
        with (
            contextlib.closing(sqlite3.connect(source, timeout=_DATABASE_SECONDS)) as read,
            contextlib.closing(sqlite3.connect(aside)) as written,
        ):
            read.backup(written)
        shutil.copymode(source, aside)
        aside.replace(target)
    except sqlite3.Error:
        aside.unlink(missing_ok=True)
        unshare(target)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:  # it went while we looked
        return 0


def _is_database(path: Path) -> bool:
    for end in _DATABASE_FILES:
        if path.name.endswith(end) and _is_database(path.with_name(path.name.removesuffix(end))):
            return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_DATABASE)) == _DATABASE


def _mark(path: Path) -> Mark:
    status = path.lstat()
    return Mark(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _entry(path: Path) -> int | None:
    """Return what a snapshot says of a path, None where there is nothing."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FOLDER if stat.S_ISDIR(status.st_mode) else status.st_ino


def _is(path: Path, inode: int) -> bool:
    return path.lstat().st_ino == inode
