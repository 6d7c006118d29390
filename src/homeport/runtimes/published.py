"""Prepared folders that change as a whole: built aside, named by what they were made from, reached by a link."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_ASIDE = ".aside-"


@contextmanager
def one_builder(parent: Path) -> Iterator[None]:
    """Hold `parent` (made if missing) for one builder at a time, in this process or another; a kill lets it go."""
    parent.mkdir(parents=True, exist_ok=True)
    parent.chmod(0o755)
    with (parent / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in parent.glob(f"{_ASIDE}*"):
            shutil.rmtree(leftover)
        yield


def publish(parent: Path, name: str, *, stamp: str, build: Callable[[Path], None]) -> Path:
    """Return the folder `<parent>/<name>-<stamp>`, made by `build` if it is not there; `<parent>/<name>` links to it.

    Call it within `one_builder`. The folder that was linked before stays, because processes may have it open; those
    before it are deleted.
    """
    target = parent / f"{name}-{stamp}"
    link = parent / name
    before = link.resolve() if link.is_symlink() else None
    if before == target and target.is_dir():
        return target
    if not target.is_dir():
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=parent))
        build(aside)
        _open_to_read(aside)
        aside.rename(target)
    _point(link, target)
    for old in parent.glob(f"{name}-*"):
        if old not in (target, before):
            shutil.rmtree(old)
    return target


def _point(link: Path, target: Path) -> None:
    aside = link.with_name(f"{_ASIDE}{link.name}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target.name)
    aside.rename(link)


def _open_to_read(root: Path) -> None:
    """Let every site's user read it, whatever our umask was."""
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
