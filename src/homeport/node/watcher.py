"""Changes in the sites' content, by one inotify descriptor for the whole machine.

A watcher thread a site would be a thousand threads for a thousand sites; here the kernel queues and the event loop
reads. Folders are walked by descriptor and watched through /proc/self/fd, so a link swapped in leads nowhere.
"""

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from asyncinotify import Inotify, Mask, Watch

from homeport.model.errors import HomeportError
from homeport.node.tenant_files import TenantTree

_log = structlog.get_logger(__name__)
_MASK = (
    Mask.CLOSE_WRITE
    | Mask.ATTRIB
    | Mask.CREATE
    | Mask.DELETE
    | Mask.MOVED_FROM
    | Mask.MOVED_TO
    | Mask.ONLYDIR
    | Mask.EXCL_UNLINK
)
_SKIPPED = frozenset({".git", "__pycache__", "node_modules", "site-packages", ".venv", "antenv"})
_MOST_FOLDERS = 4000
_DEEPEST = 24
_LONGEST_PATH = 1000
"""Each folder is opened from the root down, so depth costs twice."""
_QUIET_SECONDS = 0.05
_LONGEST_SECONDS = 0.3
_MISSING_SECONDS = 0.5
_MARK_SECONDS = 5.0


@dataclass(slots=True)
class _SiteWatch:
    tree: TenantTree
    notify: Callable[[frozenset[str]], None]
    watches: dict[str, Watch]
    changed: set[str]
    flush: asyncio.TimerHandle | None = None
    first_change: float = 0.0


class ContentWatcher:
    """Tells each site which of its files changed, a burst at a time.

    `notify` is called with paths relative to the watched folder after 50 ms of quiet, 300 ms at the latest.
    """

    def __init__(self) -> None:
        self._inotify = Inotify()
        self._sites: dict[str, _SiteWatch] = {}
        self._folders: dict[int, tuple[str, str]] = {}
        self._marks: dict[int, asyncio.Event] = {}
        self._full = False

    async def run(self) -> None:
        """Deliver events until cancelled."""
        async for event in self._inotify:
            if event.mask & Mask.Q_OVERFLOW:
                self._overflowed()
            elif event.watch is not None and id(event.watch) in self._marks:
                self._marks[id(event.watch)].set()
            elif event.watch is not None and event.mask & Mask.MOVE_SELF:
                self._root_replaced(event.watch)
            elif event.watch is not None and event.name is not None:
                self._deliver(event.watch, str(event.name), event.mask)

    def watch(self, key: str, tree: TenantTree, notify: Callable[[frozenset[str]], None]) -> None:
        """Begin to watch everything below the tree's root."""
        site = _SiteWatch(tree, notify, {}, set())
        self._sites[key] = site
        self._add(key, site, "")

    def unwatch(self, key: str) -> None:
        """Forget a site."""
        site = self._sites.pop(key, None)
        if site is None:
            return
        if site.flush is not None:
            site.flush.cancel()
        for watch in site.watches.values():
            self._forget(watch)

    async def catch_up(self, key: str) -> None:
        """Return once the site has been told of everything that happened before the call, without the usual quiet.

        The kernel keeps events in order: a change of a file of our own comes after them.
        """
        with os.fdopen(os.memfd_create("mark"), "wb") as mark:
            watch = self._inotify.add_watch(f"/proc/self/fd/{mark.fileno()}", Mask.ATTRIB)
            passed = self._marks[id(watch)] = asyncio.Event()
            try:
                os.fchmod(mark.fileno(), 0o600)
                with contextlib.suppress(TimeoutError):  # where events were lost, all sites are told anyway
                    await asyncio.wait_for(passed.wait(), _MARK_SECONDS)
            finally:
                del self._marks[id(watch)]
                self._forget(watch)
        site = self._sites.get(key)
        if site is not None and site.flush is not None:
            site.flush.cancel()
            self._flush(site)

    def folders(self, key: str) -> list[str]:
        """Return every folder of the site that is watched, the root as the empty text."""
        site = self._sites.get(key)
        return sorted(site.watches) if site else []

    def _add(self, key: str, site: _SiteWatch, folder: str) -> None:
        pending = [folder]
        while pending:
            current = pending.pop()
            if current in site.watches or current.count("/") >= _DEEPEST or len(current) > _LONGEST_PATH:
                continue
            if len(site.watches) >= _MOST_FOLDERS:
                _log.warning("watcher.too-many-folders", site=key, limit=_MOST_FOLDERS)
                return
            with contextlib.suppress(HomeportError, OSError), site.tree.folder(current) as descriptor:
                mask = _MASK if current else _MASK | Mask.MOVE_SELF
                watch = self._add_watch(key, descriptor, mask)
                site.watches[current] = watch
                self._folders[id(watch)] = (key, current)
                with os.scandir(descriptor) as entries:
                    pending += [
                        f"{current}/{entry.name}".lstrip("/")
                        for entry in entries
                        if entry.name not in _SKIPPED and entry.is_dir(follow_symlinks=False)
                    ]

    def _add_watch(self, key: str, descriptor: int, mask: Mask) -> Watch:
        """Watch an open folder. Raises `OSError`, and says in the log what to do when the kernel allows no more."""
        try:
            watch = self._inotify.add_watch(f"/proc/self/fd/{descriptor}", mask)
        except OSError as error:
            if error.errno == errno.ENOSPC and not self._full:
                self._full = True
                _log.error(
                    "watcher.no-more-folders",
                    site=key,
                    watched=len(self._folders),
                    reason="the kernel allows no more watched folders: changes in further ones go unnoticed",
                    remedy="sysctl -w fs.inotify.max_user_watches=1048576, then restart",
                )
            raise
        self._full = False
        return watch

    def _forget(self, watch: Watch) -> None:
        self._folders.pop(id(watch), None)
        with contextlib.suppress(OSError, ValueError, KeyError):
            self._inotify.rm_watch(watch)

    def _deliver(self, watch: Watch, name: str, mask: Mask) -> None:
        key, folder = self._folders.get(id(watch), ("", ""))
        site = self._sites.get(key)
        if site is None:
            return
        path = f"{folder}/{name}".lstrip("/")
        if mask & Mask.ISDIR:
            self._folder_changed(key, site, path, mask)
        elif not mask & Mask.CREATE:
            self._changed(site, path)

    def _folder_changed(self, key: str, site: _SiteWatch, path: str, mask: Mask) -> None:
        if mask & (Mask.CREATE | Mask.MOVED_TO):
            if path.rpartition("/")[2] in _SKIPPED:
                return
            self._add(key, site, path)
            for folder in [known for known in site.watches if known == path or known.startswith(path + "/")]:
                for name in site.tree.names(folder) or []:
                    self._changed(site, f"{folder}/{name}")
        elif mask & (Mask.DELETE | Mask.MOVED_FROM):
            for folder in [known for known in site.watches if known == path or known.startswith(path + "/")]:
                self._forget(site.watches.pop(folder))
            self._changed(site, path)

    def _root_replaced(self, watch: Watch) -> None:
        """Follow the path, not the folder: a deployment put another one in the root's place."""
        key, folder = self._folders.get(id(watch), ("", ""))
        site = self._sites.get(key)
        if site is not None and not folder:
            self._watch_anew(key, site)

    def _watch_anew(self, key: str, site: _SiteWatch) -> None:
        if self._sites.get(key) is not site:
            return
        for watch in site.watches.values():
            self._forget(watch)
        site.watches.clear()
        self._add(key, site, "")
        if not site.watches:  # it was moved away, and nothing has taken its place yet
            asyncio.get_running_loop().call_later(_MISSING_SECONDS, self._watch_anew, key, site)
            return
        for folder in site.watches:
            for name in site.tree.names(folder) or []:
                self._changed(site, f"{folder}/{name}".lstrip("/"))

    def _changed(self, site: _SiteWatch, path: str) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not site.changed:
            site.first_change = now
        site.changed.add(path)
        if site.flush is not None:
            site.flush.cancel()
        at = min(now + _QUIET_SECONDS, site.first_change + _LONGEST_SECONDS)
        site.flush = loop.call_at(at, self._flush, site)

    def _flush(self, site: _SiteWatch) -> None:
        changed, site.changed, site.flush = frozenset(site.changed), set(), None
        site.notify(changed)

    def _overflowed(self) -> None:
        _log.warning("watcher.overflow")
        for key, site in self._sites.items():
            self._add(key, site, "")
            self._changed(site, "web.config")
