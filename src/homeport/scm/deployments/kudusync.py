"""KuduSync: which files of a package go into the web root, and which of the last one's leave it.

Kudu reference §12.4. Pure: facts about both trees in, a plan out; `copying` carries it out.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from homeport.model.errors import Conflict

_IGNORED = frozenset({".git", ".hg", ".deployment", "deploy.cmd"})
"""Names that are never copied nor removed, at any level."""
_COMPARED = frozenset({"web.config"})


class Kind(StrEnum):
    """What is at a path; a symbolic link to a folder counts as one where a folder is needed."""

    FILE = "file"
    FOLDER = "folder"
    FOLDER_LINK = "folder-link"


class Item(NamedTuple):
    """One path of a tree: its kind, its size in bytes, and when it was last written, in nanoseconds since 1970."""

    kind: Kind
    modified_ns: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPlan:
    """What to do, in this order: remove files, remove folders that are empty then, make folders, copy files.

    `whole` are those folders to make whose files all come along, so that each can be moved in one step. `manifest` is
    what the target holds of this package afterwards.
    """

    remove_files: tuple[str, ...] = ()
    remove_folders: tuple[str, ...] = ()
    make_folders: tuple[str, ...] = ()
    whole: frozenset[str] = frozenset()
    copy: tuple[str, ...] = ()
    manifest: tuple[str, ...] = ()


def is_ignored(path: str) -> bool:
    """Tell whether a path has an ignored name at any level, in whatever case."""
    return not _IGNORED.isdisjoint(path.casefold().split("/"))


def plan_sync(
    source: Mapping[str, Item],
    target: Mapping[str, Item],
    *,
    previous: Collection[str],
    mirror: bool,
    differs: Callable[[str], bool],
    everything: bool = False,
) -> SyncPlan:
    """Decide what a sync does.

    Paths are relative, with `/`; an ignored folder of `source` needs to be there, not what is in it; times and sizes
    only count of what `target` has too. `target` needs to hold the paths of `source` and of `previous` only, and all of
    them with `mirror`, which treats every one as ours. `differs` compares the content of a file that is compared in
    full (`web.config`), so that an unchanged one is left alone; other files count as changed by time or size too (and
    packages made with fixed times need the content), or with `everything` in any case. Raises `Conflict` where a file of the package meets
    a folder of the site that stays, or the reverse.
    """
    wanted = {path: item for path, item in source.items() if not is_ignored(path)}
    ours = set(target) if mirror else set(previous) & set(target)
    doomed = {path for path in ours if path not in wanted and not is_ignored(path)}
    doomed |= {path for path in ours & set(wanted) if _replaces(wanted[path], target[path])}
    staying = {path: item for path, item in target.items() if path not in doomed}
    _check_conflicts(wanted, staying, doomed)
    copies = [
        path
        for path, item in wanted.items()
        if item.kind is Kind.FILE
        and (_changed(path, item, staying, differs) or (everything and not _is_compared(path)))
    ]
    make_folders = sorted(
        path for path, item in wanted.items() if item.kind is Kind.FOLDER and path not in staying
    )
    return SyncPlan(
        remove_files=tuple(sorted(path for path in doomed if target[path].kind is not Kind.FOLDER)),
        remove_folders=tuple(
            sorted((path for path in doomed if target[path].kind is Kind.FOLDER), key=_deepest_first)
        ),
        make_folders=tuple(make_folders),
        whole=frozenset(make_folders).difference(_with_leftovers(source, wanted)),
        copy=tuple(sorted(copies, key=lambda path: (_is_compared(path), path))),
        manifest=tuple(sorted(wanted)),
    )


def _with_leftovers(source: Mapping[str, Item], wanted: Mapping[str, Item]) -> set[str]:
    """Return the folders above whatever stays behind."""
    found: set[str] = set()
    for path, item in source.items():
        if path not in wanted or item.kind is Kind.FOLDER_LINK:
            parent = path.rpartition("/")[0]
            while parent and parent not in found:
                found.add(parent)
                parent = parent.rpartition("/")[0]
    return found


def _replaces(new: Item, old: Item) -> bool:
    """Tell whether a thing of another kind has to go first."""
    return (new.kind is Kind.FOLDER) != (old.kind is not Kind.FILE)


def _changed(path: str, item: Item, target: Mapping[str, Item], differs: Callable[[str], bool]) -> bool:
    there = target.get(path)
    if there is None:
        return True
    return differs(path) if _is_compared(path) or _stamp(there) == _stamp(item) else True


def _stamp(item: Item) -> tuple[int, int]:
    return item.modified_ns, item.size


def _is_compared(path: str) -> bool:
    return path.rpartition("/")[2].casefold() in _COMPARED


def _check_conflicts(
    wanted: Mapping[str, Item], staying: Mapping[str, Item], doomed: Collection[str]
) -> None:
    for path, item in wanted.items():
        there = staying.get(path)
        if there is not None and _replaces(item, there):
            raise Conflict(
                f"'{path}' is a {item.kind} in the package and a {there.kind} of the site that no deployment brought: "
                "remove or rename one of them.",
                code="SyncConflict",
            )
    kept = {path for path in staying if path not in wanted}
    for path in doomed:
        if path in wanted and wanted[path].kind is Kind.FILE:
            inside = next((name for name in kept if name.startswith(f"{path}/")), None)
            if inside is not None:
                raise Conflict(
                    f"'{path}' is a file in the package and a folder of the site that still holds '{inside}': "
                    "remove or rename one of them.",
                    code="SyncConflict",
                )


def _deepest_first(path: str) -> tuple[int, str]:
    return -path.count("/"), path
