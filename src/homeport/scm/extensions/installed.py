"""What is installed: Pythons and packages below `SiteExtensions`, as the API shows them. May block."""

import contextlib
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeport.model.errors import HomeportError
from homeport.runtimes import place
from homeport.scm.atomic_file import read_small
from homeport.scm.dotnet_time import offset_text
from homeport.scm.extensions.info import ExtensionInfo, python_info
from homeport.scm.extensions.nuspec import application_path, parse_nuspec
from homeport.scm.extensions.packages import SCM_TRANSFORM, SETTINGS, SITE_TRANSFORM, ExtensionFolders

_MOST_BYTES = 1024 * 1024
_MOST_EXTENSIONS = 500
_PYTHON = "homeport.json"
_PREFIX = "azureappservice-"


class Installed:
    """The extensions of one site."""

    def __init__(self, home: Path, folders: ExtensionFolders) -> None:
        self._home = home
        self._folders = folders

    def all(self, *, origin: str) -> list[ExtensionInfo]:
        """Return every installed extension by name; `origin` is the SCM site's address."""
        self._folders.recover()
        place.recover(self._home)
        names: list[str] = []
        with contextlib.suppress(OSError), os.scandir(self._folders.root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        found = (self._read(self._folders.root / name, origin=origin) for name in names[:_MOST_EXTENSIONS])
        return [info for info in found if info is not None]

    def find(self, identity: str, *, origin: str) -> ExtensionInfo | None:
        """Return one by its id, letter case and the prefix of App Service's Pythons ignored."""
        wanted = _plain(identity)
        return next((info for info in self.all(origin=origin) if _plain(info.id) == wanted), None)

    def _read(self, folder: Path, *, origin: str) -> ExtensionInfo | None:
        if (record := _object(folder / _PYTHON)) is not None:
            return self._python(folder, record)
        package = self._folders.package_of(folder)
        if package is None:
            return None
        with contextlib.suppress(HomeportError, OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
            return self._package(folder, package, origin=origin)
        return None

    def _python(self, folder: Path, record: Mapping[str, Any]) -> ExtensionInfo | None:
        if not (self._home / str(record.get("folder") or "-") / "pyvenv.cfg").is_file():
            return None  # its folder was deleted by hand
        version = str(record.get("version") or "")
        info = python_info(folder.name, version, note=str(record.get("note") or ""))
        return self._local(info, folder)

    def _package(self, folder: Path, package: Path, *, origin: str) -> ExtensionInfo:
        with zipfile.ZipFile(package) as opened:
            names = [
                info
                for info in opened.infolist()
                if "/" not in info.filename and info.filename.lower().endswith(".nuspec")
            ]
            if len(names) != 1 or names[0].file_size > _MOST_BYTES:
                raise ValueError("no package")
            info = parse_nuspec(opened.read(names[0]))
        settings = _object(folder / SETTINGS) or {}
        return replace(
            self._local(info, folder),
            extension_url=_extension_url(folder, origin),
            feed_url=_text(settings.get("feed_url")),
            packageUri=_text(settings.get("packageUri")),
            installer_command_line_params=_text(settings.get("installer_command_line_params")),
        )

    def _local(self, info: ExtensionInfo, folder: Path) -> ExtensionInfo:
        settings = _object(folder / SETTINGS) or {}
        moment = _installed(str(settings.get("install_timestamp_utc") or ""))
        changed = folder.stat().st_mtime_ns if moment is None else int(moment.timestamp()) * 10**9
        return replace(
            info,
            local_path=f"D:\\home\\SiteExtensions\\{folder.name}",
            installed_date_time=offset_text(changed),
            provisioningState="Succeeded",
        )


def _extension_url(folder: Path, origin: str) -> str | None:
    for name in (SCM_TRANSFORM, SITE_TRANSFORM):
        data = read_small(folder / name, limit=_MOST_BYTES)
        path = application_path(data) if data else None
        if path is not None:
            return f"{origin}/{path.strip('/')}/"
    return None


def _object(path: Path) -> dict[str, Any] | None:
    data = read_small(path, limit=_MOST_BYTES)
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(data) if data else None
        return value if isinstance(value, dict) else None
    return None


def _installed(text: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    return None


def _plain(identity: str) -> str:
    return identity.casefold().removeprefix(_PREFIX)


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
