"""From the path of a URL to a place on disk that is inside its root.

Kudu checks no containment (§2); here a path or a symbolic link that leads out of the root is refused. The process
has its site's own rights in its site's own sandbox, so this keeps accidents small; the sandbox is the wall.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from homeport.model.errors import Forbidden, NotFound
from homeport.windows.layout import Layout
from homeport.windows.paths import windows_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One path that a URL names.

    `path` is where it is with the links of its folders resolved, `target` with a link at the end resolved too.
    `shown` is the Windows text that answers carry. `is_root` is true for home and the special roots.
    """

    path: Path
    target: Path
    shown: str
    is_root: bool = False

    def status(self) -> os.stat_result | None:
        """Return what is there (a link at the end followed), None for nothing or a dangling link."""
        try:
            return self.target.stat()
        except OSError:
            return None

    def is_folder(self) -> bool:
        """Tell whether a folder is there."""
        found = self.status()
        return found is not None and stat.S_ISDIR(found.st_mode)

    def is_link(self) -> bool:
        """Tell whether the name itself is a symbolic link."""
        return self.path.is_symlink()


class Places:
    """Finds places below home and below the special roots (`SystemDrive`, `LocalSiteRoot`; §2.6)."""

    def __init__(self, layout: Layout, *, special: Mapping[str, Path]) -> None:
        self._layout = layout
        self._home = Path(os.path.realpath(layout.home))
        self.special = dict(special)

    def find(self, url_path: str, *, follow: bool = True) -> Place:
        """Find the place of a decoded URL path such as `/site/wwwroot//app.py`.

        Doubled slashes count once; a name whose spelling does not exist is looked for without regard to case.
        `follow` says whether a link at the end is resolved (reading, writing) or meant itself (deleting). Raises
        `Forbidden` for whatever leads out of the root, `NotFound` for text that no file can be named.
        """
        if "\0" in url_path:
            raise NotFound("A path cannot hold a NUL character.")
        names = _collapse(url_path)
        root = self._home
        if names and (special := self._special(names[0])) is not None:
            root, names = special, names[1:]
        if not names:
            return Place(path=root, target=root, shown=self.shown(root), is_root=True)
        lexical = _spelled(root, names)
        path = Path(os.path.realpath(lexical.parent)) / lexical.name
        target = Path(os.path.realpath(path)) if follow else path
        for resolved in (path, target):
            if not resolved.is_relative_to(root):
                raise Forbidden(f"'{self.shown(lexical)}' is a link that leads out of the site's folder.")
        return Place(path=path, target=target, shown=self.shown(lexical))

    def shown(self, path: Path) -> str:
        """Return the Windows text of a path."""
        return windows_text(str(path), self._layout)

    def contains(self, path: Path) -> bool:
        """Tell whether a path, links resolved, is below home."""
        return Path(os.path.realpath(path)).is_relative_to(self._home)

    def _special(self, name: str) -> Path | None:
        folded = name.casefold()
        return next((path for known, path in self.special.items() if known.casefold() == folded), None)


def _collapse(url_path: str) -> list[str]:
    kept: list[str] = []
    # A backslash separates on Windows, where no name can hold one.
    for name in url_path.replace("\\", "/").split("/"):
        if name == "..":
            if not kept:
                raise Forbidden("The path leads out of the site's folder.")
            kept.pop()
        elif name not in {"", "."}:
            kept.append(name)
    return kept


def _spelled(root: Path, names: list[str]) -> Path:
    """Join the names, each with the letter case that exists where exactly one does."""
    here = root
    for position, name in enumerate(names):
        if os.path.lexists(here / name):
            here /= name
            continue
        folded = name.casefold()
        try:
            found = [entry.name for entry in os.scandir(here) if entry.name.casefold() == folded]
        except OSError:
            found = []
        if len(found) != 1:
            return here.joinpath(*names[position:])
        here /= found[0]
    return here
