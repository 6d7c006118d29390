"""A NuGet package becomes a site extension, in one step or not at all (Kudu reference §7.4).

The new folder takes the place of the old one, which waits aside until `install.cmd` has ended well. A journal in the
folder aside says how to go back, so an installation whose process was killed is undone at the next look.
"""

import contextlib
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from homeport.model.errors import Conflict, Invalid, Unavailable
from homeport.scm.atomic_file import read_small, replace_file
from homeport.scm.deployments.archive import (
    Bounds,
    BrokenPackage,
    Member,
    UnsafePackage,
    check_members,
    extract,
    open_package,
)
from homeport.scm.extensions.info import ExtensionInfo
from homeport.scm.extensions.nuspec import default_transform, package_id, parse_nuspec
from homeport.scm.lock_file import held_lock, is_locked, take_lock

_CONTENT = "content/"
_NUSPEC_BYTES = 1024 * 1024
_RECORD_BYTES = 16 * 1024 * 1024
_JOURNAL = "journal.json"
SETTINGS = "SiteExtensionSettings.json"
MANIFEST = "homeport-manifest.json"
"""What came with the extension; beside it, so that it goes back with it when an update is undone."""
SITE_TRANSFORM = "applicationHost.xdt"
SCM_TRANSFORM = "scmApplicationHost.xdt"

RunScript = Callable[[Path, str, str], None]
"""Runs a script of the extension: its folder, its name, its arguments. Raises a `HomeportError` when it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a package came from and how it was asked for; goes to the settings file."""

    feed_url: str | None = None
    package_uri: str | None = None
    arguments: str | None = None


class ExtensionFolders:
    """The site's extensions on disk. May block."""

    def __init__(self, home: Path) -> None:
        self.root = home / "SiteExtensions"
        self.records = home / "site/siteextensions"
        self._staging = home / "data/.homeport/extensions"
        self._displaced = home / "data/Temp/SiteExtensions"

    def folder(self, identity: str) -> Path:
        """Return the folder of an extension, with the spelling that is there already."""
        return _spelled(self.root, package_id(identity))

    def record(self, identity: str) -> Path:
        """Return the folder of the platform's own notes about an extension."""
        return _spelled(self.records, package_id(identity))

    @contextmanager
    def locked(self, identity: str) -> Iterator[None]:
        """Hold the lock of one extension. Raises `Conflict` when it is being installed already."""
        with held_lock(self._lock(identity), busy=Conflict(identity, code="InstallRunning")):
            self._undo_interrupted(identity)
            self._remove_abandoned()
            yield

    def recover(self) -> bool:
        """Undo every installation whose process was killed and tell whether there was one; those that run are left."""
        undone = False
        for journal in list(self._staging.glob(f"*/{_JOURNAL}")):
            identity = _journal_id(journal)
            if identity is not None:
                with contextlib.suppress(Conflict, OSError), self.locked(identity):
                    undone = True
        return undone

    def is_locked(self, identity: str) -> bool:
        """Tell whether somebody installs or removes the extension now."""
        return is_locked(self._lock(identity))

    def _lock(self, identity: str) -> Path:
        return self.record(identity) / "install.lock"

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """Give a folder to download and unpack into; it goes at the end, or in a later `locked` when the process died."""
        folder = self._staging / uuid.uuid4().hex
        used = take_lock(_lock_of(folder))  # before the folder is there: nobody finds it without
        try:
            folder.mkdir()
            yield folder
        finally:
            _remove_aside(folder)
            if used is not None:
                os.close(used)

    def install(
        self, package: Path, identity: str, *, origin: Origin, bounds: Bounds, run: RunScript
    ) -> ExtensionInfo:
        """Install a downloaded package under the lock; `package` lies in a folder of `aside`.

        Raises `Invalid` for a package that is none, hostile, or another's; what `run` raises; `Unavailable` for the
        disk. Then the folder is what it was before.
        """
        fresh = package.parent / "new"
        try:
            info = unpack_extension(package, fresh, bounds=bounds)
            if info.id.casefold() != identity.casefold():
                raise Invalid(f"The package is '{info.id}' and not '{identity}'.")
            shutil.copyfile(package, fresh / f"{info.id}.{info.version}.nupkg")
            if not any((fresh / name).exists() for name in (SITE_TRANSFORM, SCM_TRANSFORM)):
                (fresh / SCM_TRANSFORM).write_bytes(default_transform(info.id))
            self._switch(package.parent, fresh, identity, info=info, origin=origin, run=run)
        except OSError as error:
            raise Unavailable(f"'{identity}' could not be written: {error.strerror or error}.") from error
        return info

    def remove(self, identity: str, *, run: RunScript) -> None:
        """Remove an extension under the lock: what it brought goes, what the person put there stays."""
        folder = self.folder(identity)
        if (script := _script(folder, "uninstall.cmd")) is not None:
            run(folder, script, "")
        self._remove_brought(folder)
        shutil.rmtree(self.record(identity), ignore_errors=True)

    def package_of(self, folder: Path) -> Path | None:
        """Return the package in an extension's folder, whose presence makes it installed."""
        with contextlib.suppress(OSError):
            found = sorted(
                path for path in folder.glob("*.nupkg") if path.is_file() and not path.is_symlink()
            )
            return found[0] if found else None
        return None

    def _switch(
        self, aside: Path, fresh: Path, identity: str, *, info: ExtensionInfo, origin: Origin, run: RunScript
    ) -> None:
        folder = self.folder(identity)
        old = aside / "old"
        if folder.exists() and self.package_of(folder) is None:
            self._displace(folder)
        mine = self._own_files(folder) if folder.exists() else []
        replace_file(aside / _JOURNAL, json.dumps({"id": identity}).encode())
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
            if (script := _script(folder, "install.cmd")) is not None:
                run(folder, script, origin.arguments or "")
            brought = _files(folder)
            self._carry_over(old, folder, mine)
            self._write_settings(folder, info, origin)
            replace_file(folder / MANIFEST, json.dumps([*brought, SETTINGS, MANIFEST]).encode())
        except BaseException:
            self._undo(aside, identity)
            raise
        (aside / _JOURNAL).unlink()  # from here on the new version stands

    def _undo(self, aside: Path, identity: str) -> None:
        folder, old = self.folder(identity), aside / "old"
        if old.exists():
            shutil.rmtree(folder, ignore_errors=True)
            old.rename(folder)
        elif not (aside / "new").exists():
            shutil.rmtree(
                folder, ignore_errors=True
            )  # there was none before, and the new one had been moved there
        (aside / _JOURNAL).unlink(missing_ok=True)

    def _undo_interrupted(self, identity: str) -> None:
        """Undo what a process left that was killed; only for who holds the lock of this extension."""
        for journal in list(self._staging.glob(f"*/{_JOURNAL}")):
            if (_journal_id(journal) or "").casefold() == identity.casefold():
                self._undo(journal.parent, identity)
                _remove_aside(journal.parent)

    def _remove_abandoned(self) -> None:
        """Remove the folders aside whose process was killed; one with a journal is for who undoes the installation."""
        for folder in list(self._staging.glob("*/")):
            if not (folder / _JOURNAL).exists() and not is_locked(_lock_of(folder)):
                _remove_aside(folder)

    def _displace(self, folder: Path) -> None:
        """Move a hand-made folder out of the way; Kudu deletes it."""
        self._displaced.mkdir(parents=True, exist_ok=True)
        folder.rename(self._displaced / f"{folder.name}-{datetime.now(UTC):%Y%m%d%H%M%S%f}")

    def _brought(self, folder: Path) -> list[str]:
        data = read_small(folder / MANIFEST, limit=_RECORD_BYTES)
        try:
            stored = json.loads(data) if data else []
        except (ValueError, RecursionError):
            stored = []
        names = [str(name) for name in stored] if isinstance(stored, list) else []
        return [name for name in names if name and not name.startswith("/") and ".." not in name.split("/")]

    def _own_files(self, folder: Path) -> list[str]:
        """Return the files in an extension's folder that did not come with it."""
        brought = set(self._brought(folder))
        return [name for name in _files(folder) if brought and name not in brought]

    def _carry_over(self, old: Path, folder: Path, names: list[str]) -> None:
        for name in names:
            place = folder / name
            if not os.path.lexists(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(old / name, place, follow_symlinks=False)

    def _remove_brought(self, folder: Path) -> None:
        brought = self._brought(folder)
        if not brought:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for name in brought:
            path = folder / name
            if os.path.realpath(path.parent).startswith(os.path.realpath(folder)):
                with contextlib.suppress(OSError):
                    path.unlink()
        for below, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(below).rmdir()  # goes only when it is empty

    def _write_settings(self, folder: Path, info: ExtensionInfo, origin: Origin) -> None:
        value = {
            "version": info.version,
            "feed_url": origin.feed_url,
            "packageUri": origin.package_uri,
            "install_timestamp_utc": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
            "package_type": "Gallery",
            "installer_command_line_params": origin.arguments,
        }
        replace_file(folder / SETTINGS, json.dumps(value, indent=2).encode())


def _lock_of(aside: Path) -> Path:
    """Return the file that is locked as long as somebody uses a folder aside."""
    return aside.with_name(f"{aside.name}.lock")


def _remove_aside(folder: Path) -> None:
    with contextlib.suppress(OSError):
        _lock_of(folder).unlink()
    shutil.rmtree(
        folder, ignore_errors=True
    )  # last: what is left of a folder is found again, a lone lock is not


def unpack_extension(package: Path, target: Path, *, bounds: Bounds) -> ExtensionInfo:
    """Unpack what is below `content/` into the new folder `target` and return the package's description.

    Raises `Invalid`: not a package, or one entry is hostile, before and after its name is unescaped.
    """
    try:
        with open_package(package, bounds) as opened:
            members = check_members(opened, size=package.stat().st_size, bounds=bounds)
            info = _description(opened, members)
            extract(opened, _content(members), target)
    except BrokenPackage as error:
        raise Invalid(f"The package is no .nupkg: {error}") from error
    return info


def _description(opened: zipfile.ZipFile, members: list[Member]) -> ExtensionInfo:
    specs = [
        member for member in members if "/" not in member.path and member.path.lower().endswith(".nuspec")
    ]
    if len(specs) != 1:
        raise Invalid(f"A package holds one .nuspec at its root; this one has {len(specs)}.")
    if specs[0].info.file_size > _NUSPEC_BYTES:
        raise Invalid(f"The package's .nuspec is larger than {_NUSPEC_BYTES} bytes.")
    info = parse_nuspec(opened.read(specs[0].info))
    if PurePosixPath(unquote(specs[0].path)).stem.casefold() != info.id.casefold():
        raise Invalid(f"The package's .nuspec is named '{specs[0].path}' and describes '{info.id}'.")
    return info


def _content(members: list[Member]) -> list[Member]:
    """Choose the entries to write, their names unescaped: an escape must not bring back what was refused before."""
    chosen: dict[str, Member] = {}
    for member in members:
        if not member.path.lower().startswith(_CONTENT):
            continue
        name = unquote(member.path[len(_CONTENT) :], errors="surrogateescape")
        parts = name.replace("\\", "/").split("/")
        if (
            "\0" in name
            or any(part in {"", ".", ".."} or part.endswith(":") for part in parts)
            or name[1:2] == ":"
        ):
            raise UnsafePackage(f"The entry '{member.path}' leads out of the extension's folder.")
        path = "/".join(parts)
        if path in chosen:
            raise UnsafePackage(f"The entry '{member.path}' is in the package twice.")
        chosen[path] = replace(member, path=path)
    return list(chosen.values())


def _files(folder: Path) -> list[str]:
    found = []
    for path, folders, files in os.walk(folder):
        below = os.path.relpath(path, folder)
        links = [name for name in folders if (Path(path) / name).is_symlink()]
        found += [os.path.normpath(f"{below}/{name}") for name in (*files, *links)]
    return sorted(found)


def _script(folder: Path, name: str) -> str | None:
    with contextlib.suppress(OSError):
        return next((entry.name for entry in folder.iterdir() if entry.name.lower() == name), None)
    return None


def _journal_id(journal: Path) -> str | None:
    with contextlib.suppress(ValueError, RecursionError, Invalid):
        data = json.loads(read_small(journal, limit=65536) or b"{}")
        return package_id(str(data.get("id", ""))) if isinstance(data, dict) else None
    return None


def _spelled(root: Path, identity: str) -> Path:
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            if entry.name.casefold() == identity.casefold() and not entry.is_symlink():
                return root / entry.name
    return root / identity
