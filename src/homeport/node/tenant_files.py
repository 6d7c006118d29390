"""Files that a tenant controls, opened by the agent: below one folder, never through a link, only regular files.

The agent may run as root, so a symbolic link planted by a site would otherwise make it read or write anything.
Each component is opened relative to its parent with O_NOFOLLOW, so a swap between check and use finds nothing.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        """Make the folder and its missing parents, owned by the site's user (`owner`, None: leave it).

        Raises `NotFound` or `Forbidden` when something else is or comes in the place of one of them. Only an open folder
        changes its owner, never a name: the site could put a hard link to another's file there before that happens.
        """
        descriptor = os.open(self.root, _FOLDER)
        try:
            for part in (*self._within, *_parts(path)):
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=descriptor)
                below = _open_at(part, _FOLDER, descriptor, path)
                os.close(descriptor)
                descriptor = below
                # Made just now, or by an agent that was killed before this line.
                if owner is not None and os.fstat(descriptor).st_uid == os.geteuid():
                    os.fchown(descriptor, owner, owner)
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
        """Open a log file for appending and give the descriptor, which the caller closes.

        A file that has a second name or belongs to somebody else is not written to: a new one takes its name. A hard
        link would lead the agent into a file that the site may not change, or into that of a kept deployment.
        Raises `NotFound` (no such folder) and `Forbidden` (a link, a device, or a change at this moment).
        """
        with suppress(NotFound), self._open(path, os.O_WRONLY | os.O_APPEND) as descriptor:
            found = os.fstat(descriptor)
            if found.st_nlink <= 1 and owner in (None, found.st_uid):
                return os.dup(descriptor)
            self._remove(path)
        try:
            with self._open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND) as descriptor:
                if owner is not None:
                    os.fchown(descriptor, owner, owner)
                return os.dup(descriptor)
        except FileExistsError as error:
            raise Forbidden(f"'{path}' changed while it was opened.", code="LinkRefused") from error

    def _remove(self, path: str) -> None:
        parent, _, name = path.strip("/").rpartition("/")
        with self.folder(parent) as folder, suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(name, dir_fd=folder)

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
    except IsADirectoryError as error:
        raise Forbidden(f"'{path}' is not a regular file.", code="NotARegularFile") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
            raise Forbidden(
                f"'{path}' is a link or a device; Homeport follows none.", code="LinkRefused"
            ) from error
        raise
