"""The files of the site as its clients see them: `/` is the site's home.

What leads out of the home is refused (pyftpdlib resolves links first); the wall is the sandbox, which holds nothing of
anybody else, wherever a link leads.
"""

import errno
import os
import shutil
import stat
import uuid
from pathlib import Path
from typing import IO, Any

from pyftpdlib.exceptions import FilesystemError
from pyftpdlib.filesystems import AbstractedFS

ROOT = "/home"
"""What clients see as `/`."""
_WEB_ROOT = Path(ROOT, "site/wwwroot")
_HIDDEN_BY_A_PACKAGE = Path(ROOT, "data/.homeport/under-package")
_MARK = ".homeport-upload-"
_READ_WRITE = 0o666


class SiteFiles(AbstractedFS):  # type: ignore[misc]  # pyftpdlib has no types
    """File operations with the rights of the site's user. Each raises `OSError` or `FilesystemError`."""

    def open(self, filename: str, mode: str) -> Any:
        """Open a file for `rb`, `wb` (STOR), `ab` (APPE) or `r+b` (STOR after REST)."""
        target = Path(os.path.realpath(filename))
        if mode == "rb":
            return _open(target, mode)
        _check_changeable(filename)
        if mode == "wb" and target.is_file():
            return Replacement(target)
        _make_own(target)
        return _open(target, mode)

    def mkstemp(self, suffix: str = "", prefix: str = "", dir: str | None = None, mode: str = "wb") -> Any:  # noqa: A002
        """Make a file with a new name (STOU)."""
        _check_changeable(f"{dir}/{prefix}")
        return super().mkstemp(suffix, prefix, dir, mode)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        _check_changeable(path)
        super().mkdir(path)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        _check_changeable(path)
        super().rmdir(path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        _check_changeable(path)
        super().remove(path)

    def rename(self, src: str, dst: str) -> None:
        """Rename a file or folder."""
        _check_changeable(src)
        _check_changeable(dst)
        super().rename(src, dst)

    def chmod(self, path: str, mode: int) -> None:
        """Change a file's mode."""
        _check_changeable(path)
        super().chmod(path, mode)

    def utime(self, path: str, timeval: float) -> None:
        """Change when a file was modified."""
        _check_changeable(path)
        super().utime(path, timeval)


class Replacement:
    """An upload over an existing file: it takes that file's place when it is closed.

    Visitors and running processes have the old content until then, and a version that a deployment keeps as the same
    file stays as it is. What came before an upload broke off takes the place too, so that a client can resume it; after
    an error of the disk the old file stays.
    """

    def __init__(self, target: Path) -> None:
        self.name = str(target)
        self._target = target
        self._aside = target.with_name(f"{_MARK}{uuid.uuid4().hex}")
        self._keeps_old = False
        self._file = self._aside.open("xb")
        os.fchmod(self._file.fileno(), target.stat().st_mode & 0o777)

    @property
    def closed(self) -> bool:
        """Whether it has taken the place."""
        return self._file.closed

    def write(self, data: bytes) -> int:
        """Write the next bytes."""
        try:
            return self._file.write(data)
        except OSError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Leave the file before in its place."""
        self._keeps_old = True

    def close(self) -> None:
        """Take the place of the file before. Raises `OSError`; then that stays."""
        if self._file.closed:
            return
        try:
            self._file.close()
            if not self._keeps_old:
                self._aside.replace(self._target)
        finally:
            self._aside.unlink(missing_ok=True)


def _open(path: Path, mode: str) -> IO[Any]:
    """Open a regular file; a pipe in its place holds up nobody."""
    return open(path, mode, opener=_open_regular)


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK, _READ_WRITE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    return descriptor


def _make_own(path: Path) -> None:
    """Make a file that a kept version of a deployment shares one of its own, before it is changed in place."""
    if not path.is_file() or path.stat().st_nlink == 1:
        return
    copy = Replacement(path)
    try:
        with path.open("rb") as source:
            shutil.copyfileobj(source, copy)
    except OSError:
        copy.abandon()
        raise
    finally:
        copy.close()


def _check_changeable(text: str) -> None:
    """Refuse to change what a package brought, as `/api/vfs` does (Kudu reference §3.6)."""
    path = Path(text)
    places = (Path(os.path.realpath(path)), Path(os.path.realpath(path.parent), path.name))
    if any(place.is_relative_to(_WEB_ROOT) for place in places) and _HIDDEN_BY_A_PACKAGE.is_dir():
        raise FilesystemError(
            "The content comes from a package (WEBSITE_RUN_FROM_PACKAGE): deploy another package"
        )
