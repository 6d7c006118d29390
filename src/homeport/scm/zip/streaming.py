"""A tree of files as a zip that is made while it is sent: constant memory, no temporary file."""

import contextlib
import os
import stat
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_READ_BYTES = 256 * 1024
_SEND_BYTES = 64 * 1024
_LARGE = 2**31 - 2**20
_LEVEL = 1  # the sender's processor is the site's own: quick matters more than the last tenth of the size
_OLDEST = (1980, 1, 1, 0, 0, 0)
_NEWEST_YEAR = 2107


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder (`name` ends in a slash) of the archive."""

    path: Path
    name: str


def tree_entries(root: Path, *, prefix: str = "", leave_out: frozenset[str] = frozenset()) -> Iterator[Entry]:
    """Yield what is below `root`, folders before what is in them; folders that cannot be read are passed over.

    Links to folders are left out (they could lead in circles), links to files are followed when they stay below
    `root`. `leave_out` are paths relative to `root`.
    """
    top = os.path.realpath(root)
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            entries = sorted(os.scandir(f"{top}/{below}"), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            name = f"{below}/{entry.name}".lstrip("/")
            if name in leave_out:
                continue
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                    yield Entry(Path(entry.path), f"{prefix}{name}/")
                elif entry.is_symlink():
                    target = os.path.realpath(entry.path)
                    if target.startswith(f"{top}{os.sep}") and Path(target).is_file():
                        yield Entry(Path(target), prefix + name)
                elif entry.is_file(follow_symlinks=False):
                    yield Entry(Path(entry.path), prefix + name)


def zip_pieces(entries: Iterator[Entry]) -> Iterator[bytes]:
    """Yield the archive piece by piece; files that cannot be read (any more) are left out silently, as in Kudu."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:  # type: ignore[call-overload]
        for entry in entries:
            if entry.name.endswith("/"):
                info = _info(entry.name, _status(entry.path))
                archive.writestr(info, b"")
            else:
                with contextlib.suppress(OSError):
                    file, found = _open(entry.path)
                    with file:
                        yield from _file_pieces(archive, _info(entry.name, found), file, found.st_size, sink)
            if sink.waiting >= _SEND_BYTES:
                yield sink.take()
    yield sink.take()


def _file_pieces(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: BinaryIO, size: int, sink: "_Sink"
) -> Iterator[bytes]:
    # No more than the size it had: a log that grows must not keep the archive from ending.
    left = size
    with archive.open(info, "w", force_zip64=size > _LARGE) as target:
        while left > 0 and (data := file.read(min(_READ_BYTES, left))):
            left -= len(data)
            target.write(data)
            if sink.waiting >= _SEND_BYTES:
                yield sink.take()


def _open(path: Path) -> tuple[BinaryIO, os.stat_result]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0), found


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _info(name: str, found: os.stat_result | None) -> zipfile.ZipInfo:
    moment = time.gmtime(found.st_mtime)[:6] if found else _OLDEST
    if not _OLDEST[0] <= moment[0] <= _NEWEST_YEAR:
        moment = _OLDEST
    info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode(), moment)
    info.compress_type = zipfile.ZIP_DEFLATED
    mode = found.st_mode if found else stat.S_IFREG | 0o644
    info.external_attr = (mode & 0xFFFF) << 16 | (0x10 if name.endswith("/") else 0)
    return info


class _Sink:
    """Where zipfile writes: it cannot seek, so every size comes after its data."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self.waiting = 0

    def write(self, data: bytes) -> int:
        piece = bytes(data)
        self._held.append(piece)
        self.waiting += len(piece)
        return len(piece)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data, self._held, self.waiting = b"".join(self._held), [], 0
        return data
