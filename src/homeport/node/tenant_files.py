"""Files that a tenant controls, opened by the agent: below one folder, never through a link, only regular files.

The agent may run as root, so a symbolic link planted by a site would otherwise make it read or write anything.
Each component is opened relative to its parent with O_NOFOLLOW, so a swap between check and use finds nothing.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homeport.model.errors import Forbidden, Invalid, NotFound

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TenantTree:
    """One folder of a site (its /home) and safe access below it. Paths are relative, `/`-separated.

    `root` itself must be out of the tenant's hands; `within` is a folder below it that paths are relative to, and
    that is walked as carefully as they are.
    """

    def __init__(self, root: Path, *, within: str = "") -> None:
        self.root = root
        self._within = _parts(within)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """Open the folder `path` (empty: the root itself) and give its descriptor.

        Raises `NotFound` when it is missing and `Forbidden` when a component is a link or leads upwards.
        """
        descriptor = os.open(self.root, _FOLDER)
        try:
            for part in (*self._within, *_parts(path)):
                below = _open_at(part, _FOLDER, descriptor, path)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def read(self, path: str, *, limit: int) -> bytes:
        """Read a regular file of at most `limit` bytes. Raises `NotFound`, `Forbidden` or `Invalid` (too large)."""
        with self._open(path, os.O_RDONLY) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Invalid(f"'{path}' is larger than {limit} bytes.", code="FileTooLarge")
        return data

    def names(self, path: str) -> list[str] | None:
        """List a folder's names, or give None when there is no such folder to be listed."""
        try:
            with self.folder(path) as descriptor:
                return sorted(os.listdir(descriptor))  # noqa: PTH208 (a descriptor, not a path)
        except (NotFound, Forbidden):
            return None

    def is_file(self, path: str) -> bool:
        """Tell whether `path` is a regular file, not a link to one."""
        parent, _, name = path.strip("/").rpartition("/")
        try:
            with self.folder(parent) as descriptor:
                return stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)
        except (NotFound, Forbidden, FileNotFoundError):
            return False

    def make_folder(self, path: str, *, owner: int | None) -> None:
        """Make the folder and its missing parents, owned by the site's user (`owner`, None: leave it)."""
        descriptor = os.open(self.root, _FOLDER)
        try:
            for part in (*self._within, *_parts(path)):
                try:
                    os.mkdir(part, 0o755, dir_fd=descriptor)
                    if owner is not None:
                        os.chown(part, owner, owner, dir_fd=descriptor, follow_symlinks=False)
                except FileExistsError:
                    pass
                below = _open_at(part, _FOLDER, descriptor, path)
                os.close(descriptor)
                descriptor = below
        finally:
            os.close(descriptor)

    def write_new(self, path: str, data: bytes, *, owner: int | None) -> None:
        """Write a file that does not exist yet; one that does is left alone."""
        try:
            with self._open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
                if owner is not None:
                    os.fchown(descriptor, owner, owner)
                os.write(descriptor, data)
        except FileExistsError:
            return

    def open_append(self, path: str, *, owner: int | None) -> int:
        """Open a log file for appending and give the descriptor, which the caller closes."""
        with self._open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as descriptor:
            if owner is not None:
                os.fchown(descriptor, owner, owner)
            return os.dup(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Rename within one folder; a missing `old` is no error."""
        parent, _, name = old.strip("/").rpartition("/")
        with self.folder(parent) as descriptor:
            try:
                os.rename(name, new.rpartition("/")[2], src_dir_fd=descriptor, dst_dir_fd=descriptor)
            except FileNotFoundError:
                return

    @contextmanager
    def _open(self, path: str, flags: int) -> Iterator[int]:
        parent, _, name = path.strip("/").rpartition("/")
        with self.folder(parent) as folder:
            # O_NONBLOCK: a FIFO in the place of a file must not hold the agent.
            descriptor = _open_at(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, folder, path)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Forbidden(f"'{path}' is not a regular file.", code="NotARegularFile")
                yield descriptor
            finally:
                os.close(descriptor)


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Forbidden(f"'{path}' leads out of the site's folder.", code="PathEscapes")
    return parts


def _open_at(name: str, flags: int, folder: int, path: str) -> int:
    try:
        return os.open(name, flags, 0o644, dir_fd=folder)
    except FileNotFoundError as error:
        raise NotFound(f"'{path}' does not exist.") from error
    except NotADirectoryError as error:
        raise NotFound(f"'{path}' is not a folder.") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
            raise Forbidden(
                f"'{path}' is a link or a device; Homeport follows none.", code="LinkRefused"
            ) from error
        raise
