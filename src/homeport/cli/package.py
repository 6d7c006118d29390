"""Making the package of a deployment from a folder or a zip, in a temporary file."""

import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from homeport.model.errors import Invalid
from homeport.scm.deployments.requirements import SOURCES, UnreadableRequirements, read_required

IGNORED = frozenset(
    {".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules", ".pytest_cache", ".mypy_cache"}
)
"""Folders that never belong to a site's content."""
_DEPLOYMENT_FILE = ".deployment"
_BUILD = "SCM_DO_BUILD_DURING_DEPLOYMENT=true"
_CONFIGURATION = re.compile(r"[\w.-]{1,60}")
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A zip in a temporary file: how many files, how big, what was left out, whether it asks for a build."""

    file: IO[bytes]
    files: int
    size: int
    left_out: tuple[str, ...]
    build: bool

    def chunks(self) -> Iterator[bytes]:
        """Yield the content from its begin."""
        self.file.seek(0)
        while chunk := self.file.read(_CHUNK_BYTES):
            yield chunk


@contextmanager
def open_package(path: Path, *, build: bool, configuration: str = "") -> Iterator[Package]:
    """Pack a folder, or take a zip; with `build`, one that names what it requires asks for that to be installed.

    `configuration` (`Release`) has its transform applied to web.config. A `.deployment` of its own is left to say
    what it says. Raises `Invalid` when there is nothing to deploy, a file cannot be read, or a configuration cannot
    be asked for.
    """
    with tempfile.TemporaryFile(prefix="homeport-") as file:
        left_out = _pack_folder(path, file) if path.is_dir() else _copy_zip(path, file)
        with zipfile.ZipFile(file, "a") as archive:
            names = set(archive.namelist())
            asks = build and _DEPLOYMENT_FILE not in names and _requires_packages(archive, names)
            wishes = [_BUILD] if asks else []
            wishes += [_build_args(configuration, names)] if configuration else []
            if wishes:
                archive.writestr(_DEPLOYMENT_FILE, "\n".join(["[config]", *wishes, ""]))
        count = sum(not name.endswith("/") for name in names)
        if not count:
            raise Invalid(f"'{path}' holds no file to deploy.")
        size = file.seek(0, os.SEEK_END)
        yield Package(file=file, files=count, size=size, left_out=left_out, build=asks)


def _requires_packages(archive: zipfile.ZipFile, names: Collection[str]) -> bool:
    """Tell whether a package names what it requires; a pyproject.toml may hold nothing but settings of tools."""
    found = [name for name in SOURCES if name in names]
    if found != ["pyproject.toml"]:
        return bool(found)
    text = archive.read("pyproject.toml").decode("utf-8-sig", "replace")
    try:
        return bool(read_required("pyproject.toml", text).lines)
    except UnreadableRequirements:
        return True  # the build says what is wrong with it


def _build_args(configuration: str, names: Collection[str]) -> str:
    """Return the setting that has a configuration's transform applied. Raises `Invalid`."""
    if not _CONFIGURATION.fullmatch(configuration):
        raise Invalid(f"'{configuration}' cannot be a configuration; it is a name such as Debug or Release.")
    setting = f"SCM_BUILD_ARGS=/p:Configuration={configuration}"
    if _DEPLOYMENT_FILE in names:
        raise Invalid(f"The package has a .deployment of its own; write {setting} there, below [config].")
    wanted = f"web.{configuration}.config".lower()
    if wanted not in {name.lower() for name in names}:
        raise Invalid(
            f"There is no {wanted} beside web.config, which --configuration {configuration} would apply."
        )
    return setting


def _copy_zip(path: Path, file: IO[bytes]) -> tuple[str, ...]:
    try:
        with path.open("rb") as source:
            shutil.copyfileobj(source, file)
        zipfile.ZipFile(file).close()
    except OSError as error:
        raise Invalid(f"'{path}' cannot be read: {error.strerror}.") from error
    except zipfile.BadZipFile as error:
        raise Invalid(f"'{path}' is neither a folder nor a zip file.") from error
    return ()


def _pack_folder(root: Path, file: IO[bytes]) -> tuple[str, ...]:
    left_out: list[str] = []
    with zipfile.ZipFile(
        file, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False
    ) as archive:
        for path, name in _walk(root, left_out):
            try:
                archive.write(path, name)
            except OSError as error:
                raise Invalid(f"'{path}' cannot be read: {error.strerror}.") from error
    return tuple(sorted(left_out))


def _walk(root: Path, left_out: list[str]) -> Iterator[tuple[Path, str]]:
    """Yield files with their names in the package, and folders that are empty; note what is left out.

    Links to files are followed, because a package has none; links to folders could lead in a circle.
    """
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        for name in sorted(folders):
            if name in IGNORED or (here / name).is_symlink():
                folders.remove(name)
                left_out.append((here / name).relative_to(root).as_posix() + "/")
        for name in sorted(files):
            path = here / name
            if _is_file(path):
                yield path, path.relative_to(root).as_posix()
            else:
                left_out.append(path.relative_to(root).as_posix())
        if not folders and not files and here != root:
            yield here, here.relative_to(root).as_posix() + "/"


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
