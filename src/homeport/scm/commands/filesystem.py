"""The file system as the pure path and program rules see it."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path


class LinuxFiles:
    """A `homeport.windows.programs.Lookup` over the real file system; what cannot be read is not there."""

    def list_folder(self, path: str) -> Sequence[str] | None:
        """Names in a folder, None where there is no folder or it may not be read."""
        try:
            return os.listdir(path)  # noqa: PTH208 (names are wanted, no paths)
        except (OSError, ValueError):
            return None

    def is_file(self, path: str) -> bool:
        """Whether a regular file is there, through links."""
        return Path(path).is_file()

    def is_executable(self, path: str) -> bool:
        """Whether this process may execute the file."""
        return Path(path).is_file() and os.access(path, os.X_OK)


def part_from_links(path: Path) -> None:
    """Remove the name of a file that has others, before it is written anew.

    A deployment prepares a version in hard links to the one that is served: what a script overwrites there must not change
    what visitors get. Raises OSError.
    """
    try:
        known = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(known.st_mode) and known.st_nlink > 1:
        path.unlink()
