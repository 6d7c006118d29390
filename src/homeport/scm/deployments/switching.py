"""The step in which visitors get another version: a folder prepared aside and the served one change places.

`site/wwwroot` stays a real folder. Its next version is built in `data/.homeport/switch/next` from shared files, and
one `renameat2(RENAME_EXCHANGE)` puts it in its place; the packages of a build change places in the same way right
after it. What was decided is written down before, so that whoever comes after a process that died finishes it.
"""

import contextlib
import ctypes
import errno
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from homeport.scm.deployments.trees import (
    FOLDER,
    Mark,
    Snapshot,
    carry_changes,
    find_changes,
    look,
    part_files,
    place_changes,
    remove_tree,
    share_again,
    share_tree,
)

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CONTENT = "site/wwwroot"
_libc = ctypes.CDLL(None, use_errno=True)


class ContentSwitch:
    """The next version of a site's folders; only for who holds the deployment lock."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._root = home / "data/.homeport/switch"
        self._journal = self._root / "journal.json"
        self._brought = self._root / "brought.json"
        self._staged: dict[str, Snapshot] = {}
        self._copies: Mapping[str, Mark] | None = None

    def stage(self, live: Path, *, checkpoint: Callable[[], None] = lambda: None) -> Path:
        """Make a folder that holds what `live` holds, and that will take its place. Raises `OSError`."""
        name = live.relative_to(self._home).as_posix()
        place = self._root / "next" / name
        if name not in self._staged:
            remove_tree(place)
            live.mkdir(parents=True, exist_ok=True)
            self._staged[name] = share_tree(live, place, checkpoint=checkpoint)
        return place

    def replace_stage(self, live: Path, source: Path, *, checkpoint: Callable[[], None]) -> Path:
        """Make a folder that holds what `source` holds, and that will take the place of `live`."""
        name = live.relative_to(self._home).as_posix()
        place = self._root / "next" / name
        remove_tree(place)
        share_tree(source, place, checkpoint=checkpoint)
        self._staged[name] = {}
        return place

    def staged(self, live: Path) -> Path:
        """Return the folder that will take the place of `live`; `live` itself where none will."""
        name = live.relative_to(self._home).as_posix()
        return self._root / "next" / name if name in self._staged else live

    def part_content(self, more: Collection[str], *, checkpoint: Callable[[], None]) -> None:
        """Let the staged content have files of its own, so that programs may write them in place.

        Those are the files that deployments brought, and `more`. What the site wrote stays shared: it may be much, and
        it is one in all versions. Raises `OSError`.
        """
        if self._copies is None and _CONTENT in self._staged:
            known = self._brought_paths()
            paths = None if known is None else known.union(more)
            self._copies = part_files(self._root / "next" / _CONTENT, paths, checkpoint=checkpoint)

    def note_brought(self, paths: Collection[str]) -> None:
        """Remember that a deployment brought files of the web root."""
        known = self._brought_paths()
        if known is not None and not known.issuperset(paths):
            _write_durably(self._brought, sorted(known.union(paths)))

    def commit(self, identity: str, *, keep_folder: bool = False) -> list[str]:
        """Let every staged folder take its place; files that the site wrote meanwhile come along.

        With `keep_folder` processes go on in the folder they stand in: where only the content was staged, its files take
        their places one by one. Returns the files that the site and a program of the deployment both wrote: the
        program's are served.
        """
        names = sorted(self._staged, key=lambda name: name != _CONTENT)
        if not names:
            return []
        written_twice = self._settle_content() if _CONTENT in names else []
        for name in names:
            self._carry(name, self._home / name, self._root / "next" / name)
        if keep_folder and names == [_CONTENT] and (known := self._staged[_CONTENT]):
            live, place = self._home / _CONTENT, self._root / "next" / _CONTENT
            changes = find_changes(place, known, live)
            _write_durably(self._journal, {"deployment": identity, "folders": {}, "changes": changes})
            with contextlib.suppress(OSError):  # then the folders change places after all
                place_changes(changes, place, live)
                return written_twice
        inodes = {name: (self._root / "next" / name).stat().st_ino for name in names}
        _write_durably(self._journal, {"deployment": identity, "folders": inodes})
        for name in names:
            exchange(self._root / "next" / name, self._home / name)
        for name in names:
            self._carry(name, self._root / "next" / name, self._home / name)
        return written_twice

    def finish(self) -> None:
        """Forget the switch once its record is written; the folders of the last version are kept for one more.

        Processes of that version still run in them until their successors are up.
        """
        self._forget()
        self._journal.unlink(missing_ok=True)
        remove_tree(self._root / "previous")
        with contextlib.suppress(OSError):
            (self._root / "next").rename(self._root / "previous")

    def abandon(self) -> None:
        """Remove what was staged."""
        self._forget()
        remove_tree(self._root / "next")

    def recover(self) -> str | None:
        """Finish a switch whose process died within it; return the deployment that is served now, None without one."""
        try:
            written = json.loads(self._journal.read_bytes())
            identity, folders = str(written["deployment"]), dict(written["folders"])
            changes = dict(written.get("changes", {}))
        except (OSError, ValueError, KeyError, TypeError):
            self._journal.unlink(missing_ok=True)
            self.abandon()
            return None
        for name, inode in folders.items():
            live, place = self._home / name, self._root / "next" / name
            if not place.resolve().is_relative_to(self._root.resolve()):
                continue
            with contextlib.suppress(OSError):
                if not live.exists() or (live.stat().st_ino != inode and place.stat().st_ino == inode):
                    exchange(place, live)
        with contextlib.suppress(OSError):
            place_changes(changes, self._root / "next" / _CONTENT, self._home / _CONTENT)
        return identity

    def _settle_content(self) -> list[str]:
        """Share again what no program touched, and remember what the deployment brought."""
        live, place, known = self._home / _CONTENT, self._root / "next" / _CONTENT, self._staged[_CONTENT]
        written_twice = share_again(self._copies, live, place) if self._copies and known else []
        files = {path: inode for path, inode in look(place).items() if inode != FOLDER}
        brought = {path for path, inode in files.items() if known.get(path) != inode}
        before = self._brought_paths()
        _write_durably(
            self._brought, sorted(brought.union(files if before is None else before & files.keys()))
        )
        return written_twice

    def _brought_paths(self) -> frozenset[str] | None:
        """Return what deployments brought to the web root; None where nobody wrote it down: it may be everything."""
        try:
            return frozenset(map(str, json.loads(self._brought.read_bytes())))
        except (OSError, ValueError, TypeError):
            return None

    def _forget(self) -> None:
        self._staged, self._copies = {}, None

    def _carry(self, name: str, source: Path, target: Path) -> None:
        known = self._staged[name]
        if known:
            self._staged[name] = carry_changes(source, known, target)


def exchange(one: Path, other: Path) -> None:
    """Let two folders change places in one step; two where the file system cannot. Raises `OSError`."""
    done = _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if done == 0:
        return
    code = ctypes.get_errno()
    if code not in {errno.EINVAL, errno.ENOSYS, errno.ENOENT}:
        raise OSError(code, os.strerror(code), str(other))
    aside = one.with_name(f"{one.name}.aside")
    if other.exists():
        other.rename(aside)
    one.rename(other)
    if aside.exists():
        aside.rename(one)


def _write_durably(path: Path, value: object) -> None:
    aside = path.with_name(f".{path.name}")
    with aside.open("w") as file:
        file.write(json.dumps(value))  # much quicker than json.dump
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
