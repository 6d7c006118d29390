r"""The mapping between Windows path text and Linux paths: one table, used wherever text names a path.

IIS hosting reference §10.4: rules 1 to 3 (what is a Windows path, variables, prefixes), 5 (letter case), 8 (what
no rule matches), 14 (what is refused). The file system is seen through a `ListFolder` only, so that a mapping
can be computed, tested and explained without one.
"""

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from homeport.model.errors import Invalid
from homeport.windows.layout import Layout
from homeport.windows.variables import expand, windows_variables

ListFolder = Callable[[str], Sequence[str] | None]
"""Names in a folder (a Linux path), or None where there is no folder or it cannot be read."""

_DRIVE = re.compile(r"([A-Za-z]):(?=[\\/]|$)")
_VERBATIM = re.compile(r"^\\\\[?.]\\(?=[A-Za-z]:[\\/])")
r"""`\\?\X:\…` is `X:\…` without limits on its length; App Service's documentation writes stdoutLogFile so."""
_SITE_DRIVES = frozenset("CD")


class Rule(StrEnum):
    """Which row of the table a text matched."""

    HOME = "home"
    """`X:\\home`, `\\home`, `/home`: the site's persistent folder."""
    HOME_EXPANDED = "home-expanded"
    """`X:\\DWASFiles\\Sites\\<any>\\VirtualDirectory0`: the same folder by its physical name."""
    TEMPORARY = "temporary"
    """`X:\\local\\Temp`: the temporary folder."""
    LOCAL = "local"
    """`X:\\local`: the folder that is lost when the site moves."""
    LINUX = "linux"
    """An absolute Linux path: taken as it is."""
    RELATIVE = "relative"
    """A relative path: below the given directory."""
    UNMAPPED = "unmapped"
    """A path on a drive that no row covers: there is no Linux path for it."""
    REFUSED = "refused"
    """A network share, an alternate data stream, a name Windows cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a text has no Linux path: a stable code and one sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedPath:
    """What one path text means on Linux.

    `posix` is the Linux path, None when `problem` says why there is none. `expanded` is the text after `%NAME%`
    expansion. `exists` is None where no `ListFolder` was given. `notes` tell what was changed or is ambiguous.
    """

    text: str
    expanded: str
    rule: Rule
    posix: str | None
    exists: bool | None = None
    problem: Problem | None = None
    notes: tuple[str, ...] = ()

    def required(self) -> str:
        """Return the Linux path, or raise `Invalid` with the problem."""
        if self.posix is None:
            assert self.problem is not None
            raise Invalid(self.problem.message, code=self.problem.code)
        return self.posix


def is_windows_path(text: str) -> bool:
    r"""Tell whether `text` must be read as an absolute Windows path: `X:\`, `X:/`, `%NAME%\` or `\\server`."""
    return bool(_DRIVE.match(text) or text.startswith("\\\\") or re.match(r"%[^%]+%[\\/]", text))


def map_path(
    text: str,
    layout: Layout,
    *,
    variables: Mapping[str, str] | None = None,
    list_folder: ListFolder | None = None,
    directory: str | None = None,
) -> MappedPath:
    r"""Map one path text to its Linux path; nothing is raised, `MappedPath.problem` tells what is wrong.

    `variables` are expanded first (default: App Service's folder variables). `directory` (a Linux path) is where
    relative text starts; without it the result is relative too. `..` is resolved in the text, before the table
    is consulted, as Windows does. With `list_folder` each name whose exact spelling does not exist is looked for
    without regard to case; where several differ only by case, none is chosen and a note says so.
    """
    known = windows_variables(layout) if variables is None else variables
    expansion = expand(text, known)
    mapped = _place(text, _VERBATIM.sub("", expansion.text), layout, directory=directory)
    notes = tuple(f"%{name}% is not defined and stays as it is" for name in expansion.unknown)
    mapped = replace(mapped, notes=notes + mapped.notes)
    if list_folder is None or mapped.posix is None or not posixpath.isabs(mapped.posix):
        return mapped
    return _correct_case(mapped, list_folder, layout=layout)


def windows_text(posix: str, layout: Layout) -> str:
    r"""Give the Windows text of a Linux path: `/home/site` → `D:\home\site`; paths outside the table stay."""
    path = posixpath.normpath(posix)
    roots = (
        (layout.home, rf"{layout.drive}\home"),
        (layout.temporary, rf"{layout.drive}\local\Temp"),
        (layout.local, rf"{layout.drive}\local"),
    )
    matching = [(root, text) for root, text in roots if path == root or path.startswith(f"{root}/")]
    if not matching:
        return path
    root, text = max(matching, key=lambda pair: len(pair[0]))
    return text + path[len(root) :].replace("/", "\\")


def _place(text: str, expanded: str, layout: Layout, *, directory: str | None) -> MappedPath:
    """Find the row for `expanded`; case is not looked at yet."""
    result = MappedPath(text=text, expanded=expanded, rule=Rule.REFUSED, posix=None)
    windows = "\\" in expanded or _DRIVE.match(expanded) is not None
    if problem := _refusal(expanded, windows=windows):
        return replace(result, problem=problem)
    drive = _DRIVE.match(expanded)
    parts = _components(expanded[drive.end() :] if drive else expanded)
    if not drive and not expanded.startswith(("\\", "/")):
        return replace(result, rule=Rule.RELATIVE, posix=_below(directory, parts))
    if drive and drive[1].upper() not in _SITE_DRIVES:
        return _unmapped(result)
    if row := _row(collapse(parts), layout):
        return replace(result, rule=row[0], posix=row[1])
    if windows:
        return _unmapped(result)
    return replace(result, rule=Rule.LINUX, posix=posixpath.normpath("/" + expanded.lstrip("/")))


def _row(parts: list[str], layout: Layout) -> tuple[Rule, str] | None:
    match [part.lower() for part in parts]:
        case ["home", *_]:
            return Rule.HOME, "/".join([layout.home, *parts[1:]])
        case ["dwasfiles", "sites", _, "virtualdirectory0", *_]:
            return Rule.HOME_EXPANDED, "/".join([layout.home, *parts[4:]])
        case ["local", "temp", *_]:
            return Rule.TEMPORARY, "/".join([layout.temporary, *parts[2:]])
        case ["local", *_]:
            return Rule.LOCAL, "/".join([layout.local, *parts[1:]])
        case _:
            return None


def _unmapped(result: MappedPath) -> MappedPath:
    message = (
        f"'{result.text}' is on a Windows drive that has no counterpart here: "
        r"use a path below D:\home (the site) or D:\local."
    )
    return replace(
        result, rule=Rule.UNMAPPED, problem=Problem(code="paths.unmapped-drive-path", message=message)
    )


def _refusal(expanded: str, *, windows: bool) -> Problem | None:
    """Refuse what rule 14 names; a path written the Linux way may hold a colon or end in a dot."""
    if "\0" in expanded:
        return Problem(code="paths.invalid-character", message="A path cannot hold a NUL character.")
    if expanded.startswith("\\\\"):
        return Problem(
            code="paths.network-share",
            message=f"'{expanded}' names a network share, which a site here cannot reach: copy the files into D:\\home.",
        )
    if not windows:
        return None
    drive = _DRIVE.match(expanded)
    for name in _components(expanded[drive.end() :] if drive else expanded):
        if ":" in name:
            return Problem(
                code="paths.alternate-data-stream",
                message=f"'{expanded}' holds a colon in '{name}', an alternate data stream in Windows: remove it.",
            )
        if name not in {".", ".."} and name.endswith((".", " ")):
            return Problem(
                code="paths.trailing-dot-or-space",
                message=f"'{name}' in '{expanded}' ends in a dot or a space, which Windows drops: remove it.",
            )
    return None


def _components(text: str) -> list[str]:
    return [part for part in re.split(r"[\\/]", text) if part]


def collapse(parts: Sequence[str]) -> list[str]:
    """Resolve `.` and `..` among the names of an absolute path; the root is its own parent."""
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    return kept


def _below(directory: str | None, parts: list[str]) -> str:
    return posixpath.normpath(posixpath.join(directory or "", *parts) or ".")


def _correct_case(mapped: MappedPath, list_folder: ListFolder, *, layout: Layout) -> MappedPath:
    assert mapped.posix is not None
    start = _known_root(mapped.posix, layout)
    here, notes = start, list(mapped.notes)
    names = [name for name in mapped.posix[len(start) :].split("/") if name]
    exists = True
    for name in names:
        spelled = name
        if exists:
            found = _find(name, list_folder(here) or ())
            exists = len(found) == 1
            if exists:
                spelled = found[0]
            elif found:
                notes.append(f"'{name}' in {here} could be {' or '.join(sorted(found))}: spell it exactly")
            if spelled != name:
                notes.append(f"'{name}' is spelled '{spelled}' in {here}")
        here = posixpath.join(here, spelled)
    if not names:
        exists = list_folder(here) is not None
    return replace(mapped, posix=here, exists=exists, notes=tuple(notes))


def _known_root(posix: str, layout: Layout) -> str:
    """Give the part of a path that the platform itself made, whose spelling is right."""
    roots = (layout.home, layout.temporary, layout.local)
    known = [root for root in roots if posix == root or posix.startswith(f"{root}/")]
    return max(known, key=len, default="/")


def _find(name: str, listed: Sequence[str]) -> list[str]:
    if name in listed:
        return [name]
    folded = name.casefold()
    return [candidate for candidate in listed if candidate.casefold() == folded]
