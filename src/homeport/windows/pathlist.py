"""`;` lists of paths: PYTHONPATH and PATH as Windows text (IIS hosting reference §10.4 rule 6)."""

from collections.abc import Mapping, Sequence

from homeport.windows.layout import Layout
from homeport.windows.paths import ListFolder, MappedPath, map_path, windows_text
from homeport.windows.variables import Unknown, expand, windows_variables


def split_path_list(text: str) -> tuple[str, ...]:
    """Split on `;` only (a `:` belongs to the drive), drop quotes and surrounding blanks and empty items."""
    items = (item.strip().strip('"') for item in text.split(";"))
    return tuple(item for item in items if item)


def map_path_list(
    text: str,
    layout: Layout,
    *,
    variables: Mapping[str, str] | None = None,
    unknown: Unknown = Unknown.KEEP,
    list_folder: ListFolder | None = None,
    directory: str | None = None,
) -> tuple[MappedPath, ...]:
    """Map each item of a `;` list, in order.

    Variables are expanded before the list is split, since a value may hold several items. `unknown` is
    `Unknown.ERASE` for PYTHONPATH in web.config (§3.4).
    """
    known = windows_variables(layout) if variables is None else variables
    expanded = expand(text, known, unknown=unknown).text
    return tuple(
        map_path(item, layout, variables={}, list_folder=list_folder, directory=directory)
        for item in split_path_list(expanded)
    )


def linux_path_list(items: Sequence[MappedPath]) -> str:
    """Join the items that have a Linux path with `:`, as an environment variable of a process wants them."""
    return ":".join(item.posix for item in items if item.posix is not None)


def windows_path_list(linux_list: str, layout: Layout) -> str:
    """Show a `:` list as Windows text joined with `;`."""
    return ";".join(windows_text(item, layout) for item in linux_list.split(":") if item)
