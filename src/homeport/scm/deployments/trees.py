"""A second tree that shares every file with the first: made quickly, changed without the first noticing.

Files are shared as hard links, so a file that is written in place changes in both trees (a database stays one
database), while a file that is replaced or removed in one of them stays in the other.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

FOLDER = 0
Snapshot = Mapping[str, int]
"""What a tree held: relative paths, a parent before what is in it, to the file's inode, or `FOLDER`."""


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


def carry_changes(source: Path, known: Snapshot, target: Path) -> Snapshot:
    """Do in `target` what happened in `source` since it held `known`, and return what it holds now.

    What `target` has of its own wins: a file that was replaced there is not touched.
    """
    now = _look(source)
    for path, inode in now.items():
        if known.get(path) == inode:
            continue
        with contextlib.suppress(OSError):
            if inode == FOLDER:
                (target / path).mkdir(exist_ok=True)
            elif path in known and _is(target / path, known[path]):
                aside = target / f".homeport-{uuid.uuid4().hex}"
                _share(str(source / path), str(aside))
                aside.replace(target / path)
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


def remove_tree(root: Path) -> None:
    """Remove a folder with everything in it, folders that forbid it included; what cannot be removed stays."""

    def permit(_function: object, path: str, _error: object) -> None:
        place = Path(path)
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
        shutil.copy2(path, aside, follow_symlinks=False)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def _look(root: Path) -> dict[str, int]:
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


def _share(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except PermissionError:
        shutil.copy2(source, target, follow_symlinks=False)


def _is(path: Path, inode: int) -> bool:
    return path.lstat().st_ino == inode
