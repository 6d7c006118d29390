"""The site's log files: which there are, and what has been appended to them (Kudu reference §9.1)."""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

_EXTENSIONS = frozenset({".txt", ".log", ".htm"})
_READ_BYTES = 256 * 1024
_LONGEST_LINE = 64 * 1024


class Tail:
    """The new lines of a folder's log files (or of one file), since the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[tuple[int, int], int] = {}

    def look(self, *, from_end: bool) -> list[tuple[Path, int, int]]:
        """Return the files that have grown, with where to read from and their identity's size."""
        grown: list[tuple[Path, int, int]] = []
        for path, found in _log_files(self._folder):
            identity = (found.st_dev, found.st_ino)
            start = found.st_size if from_end else self._read.get(identity, 0)
            start = start if start <= found.st_size else 0  # it was emptied and written anew
            self._read[identity] = start
            if start < found.st_size:
                grown.append((path, start, found.st_size))
        return grown

    def new_lines(self) -> Iterator[bytes]:
        """Return whole new lines of all files, each ended by a line feed; unreadable files are passed over."""
        for _, lines in self.new_lines_by_file():
            yield from lines

    def new_lines_by_file(self) -> Iterator[tuple[Path, list[bytes]]]:
        """Return the same with the file that each batch of lines is from."""
        for path, start, _ in self.look(from_end=False):
            with contextlib.suppress(OSError):
                if lines := self._lines_of(path, start):
                    yield path, lines

    def positions(self) -> dict[int, int]:
        """Return how far each file, by its inode, was read, in bytes; those looked at last come last."""
        return {inode: position for (_, inode), position in self._read.items()}

    def go_on_from(self, positions: Mapping[int, int], *, at_ns: int) -> None:
        """Take up where another tail stopped at the time `at_ns`.

        A file that it did not know is read from its beginning when it was written to since, else from its end.
        """
        for _, found in _log_files(self._folder):
            known = positions.get(found.st_ino)
            unknown = 0 if found.st_mtime_ns >= at_ns else found.st_size
            self._read[(found.st_dev, found.st_ino)] = unknown if known is None else known

    def _lines_of(self, path: Path, start: int) -> list[bytes]:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            data = os.pread(file.fileno(), _READ_BYTES, start) if stat.S_ISREG(found.st_mode) else b""
        end = data.rfind(b"\n") + 1
        if not end and len(data) >= _LONGEST_LINE:
            end = len(data)
        self._read[(found.st_dev, found.st_ino)] = start + end
        return [line + b"\n" for line in data[:end].splitlines()]


def _log_files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    if folder.is_file() and not folder.is_symlink():
        yield folder, folder.stat()
        return
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and Path(entry.name).suffix.lower() in _EXTENSIONS:
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def newest_log_files(folder: Path, *, most: int) -> list[tuple[Path, int]]:
    """Return the log files that were written last, with their sizes in bytes."""
    found = sorted(_log_files(folder), key=lambda pair: pair[1].st_mtime_ns, reverse=True)
    return [(path, status.st_size) for path, status in found[:most]]
