"""Carries out a sync: looks at both trees, removes, moves files into their places."""

import contextlib
import errno
import filecmp
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Collection
from pathlib import Path

from homeport.scm.bytecode import part_from_bytecode
from homeport.scm.deployments.kudusync import Item, Kind, SyncPlan, is_ignored, plan_sync

_SHOWN_LINES = 50
_UNSEEN = {kind: Item(kind) for kind in Kind}


def prepare_sync(
    source: Path, target: Path, *, previous: Collection[str], mirror: bool, everything: bool = False
) -> SyncPlan:
    """Look at both trees and plan; raises `Conflict` before anything is changed."""
    kinds = _walk(source)
    known = _look(target, _walk(target) if mirror else {*kinds, *previous})
    for path in [path for path in known if kinds.get(path) is Kind.FILE]:
        if known[path].kind is Kind.FOLDER:
            below = target / path
            known |= {f"{path}/{name}": item for name, item in _look(below, _walk(below)).items()}
    # Times and sizes are asked for only where there is something to compare them with.
    unseen = {path: _UNSEEN[kind] for path, kind in kinds.items()}
    return plan_sync(
        unseen | _look(source, kinds.keys() & known.keys()),
        known,
        previous=previous,
        mirror=mirror,
        everything=everything,
        differs=lambda path: not _is_same(source / path, target / path),
    )


def run_sync(
    plan: SyncPlan,
    source: Path,
    target: Path,
    *,
    say: Callable[[str], None],
    checkpoint: Callable[[], None] = lambda: None,
) -> None:
    """Carry out a plan; `source` is used up, as files are moved. Each file changes at once. Raises `OSError`."""
    lines = _Lines(say)
    for path in plan.remove_files:
        checkpoint()
        lines.say(f"Deleting file: '{path}'")
        (target / path).unlink(missing_ok=True)
    for path in plan.remove_folders:
        with contextlib.suppress(OSError):  # it holds something that was not ours
            (target / path).rmdir()
    moved: set[str] = set()
    for path in plan.make_folders:
        checkpoint()
        if path.rpartition("/")[0] in moved or (
            path in plan.whole and _move_folder(source / path, target / path)
        ):
            moved.add(path)
        else:
            (target / path).mkdir(parents=True, exist_ok=True)
    for path in plan.copy:
        checkpoint()
        lines.say(f"Copying file: '{path}'")
        if path.rpartition("/")[0] not in moved:
            _move(source / path, target / path)
    lines.end()


class _Lines:
    """Says the first lines and how many there were in all."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._count = 0

    def say(self, line: str) -> None:
        self._count += 1
        if self._count <= _SHOWN_LINES:
            self._say(line)
        elif self._count == _SHOWN_LINES + 1:
            self._say("Omitting next output lines...")

    def end(self) -> None:
        if self._count > _SHOWN_LINES:
            self._say(f"Processed {self._count} files...")
        self._say("Finished successfully.")


def _move_folder(source: Path, target: Path) -> bool:
    """Move a folder with everything in it; False where it has to go file by file."""
    try:
        source.rename(target)
    except OSError:  # another file system, or the site made a folder there meanwhile
        return False
    return True


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part_from_bytecode(source, target)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = target.parent / f".homeport-sync-{uuid.uuid4().hex}"
        try:
            shutil.copy2(source, aside)
            aside.replace(target)
        except OSError:
            aside.unlink(missing_ok=True)
            raise


def _walk(root: Path) -> dict[str, Kind]:
    """Return every path below a folder but what is in ignored folders; links are entries, never followed."""
    found: dict[str, Kind] = {}
    waiting = [(str(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    found[path] = Kind.FOLDER
                    if not is_ignored(entry.name):
                        waiting.append((entry.path, f"{path}/"))
                elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112 (half of the time with pathlib)
                    found[path] = Kind.FOLDER_LINK
                else:
                    found[path] = Kind.FILE
    return found


def _look(root: Path, paths: Collection[str]) -> dict[str, Item]:
    found: dict[str, Item] = {}
    missing: set[str] = set()
    for path in sorted(paths):  # a folder before what is in it
        if path.rpartition("/")[0] in missing:
            missing.add(path)
            continue
        place = f"{root}/{path}"
        try:
            found[path] = _item(place, os.lstat(place))
        except (OSError, ValueError):
            missing.add(path)
    return found


def _item(path: str, status: os.stat_result) -> Item:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        return Item(Kind.FOLDER)
    if kind == stat.S_IFLNK and os.path.isdir(path):  # noqa: PTH112 (half of the time with pathlib)
        return Item(Kind.FOLDER_LINK)
    return Item(Kind.FILE, status.st_mtime_ns, status.st_size)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
    finally:
        filecmp.clear_cache()
