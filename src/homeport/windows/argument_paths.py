r"""Windows paths inside the arguments of a program (IIS hosting reference §10.4 rule 7)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.windows.arguments import split_arguments
from homeport.windows.layout import Layout
from homeport.windows.paths import ListFolder, MappedPath, Rule, map_path
from homeport.windows.variables import expand_text, windows_variables

# `--opt=`, `NAME=`, `/opt:` or `-I` glued to a path.
_PREFIX = re.compile(r"(?:--?[\w.-]+=|[\w.-]+=|/[A-Za-z]+:|-[A-Za-z])(?=[A-Za-z]:[\\/]|\\|\.{1,2}\\)")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedArgument:
    """An argument after expansion and mapping; `path` tells how, None where it holds no Windows path."""

    text: str
    value: str
    path: MappedPath | None = None


def map_arguments(
    text: str,
    layout: Layout,
    *,
    variables: Mapping[str, str] | None = None,
    list_folder: ListFolder | None = None,
    directory: str | None = None,
) -> tuple[MappedArgument, ...]:
    """Split the arguments of a configuration value by the C runtime's rules and map each."""
    return tuple(
        map_argument(argument, layout, variables=variables, list_folder=list_folder, directory=directory)
        for argument in split_arguments(text)
    )


def map_argument(
    argument: str,
    layout: Layout,
    *,
    variables: Mapping[str, str] | None = None,
    list_folder: ListFolder | None = None,
    directory: str | None = None,
) -> MappedArgument:
    r"""Expand one argument, and map it where it is a path, alone or behind `--opt=`, `NAME=`, `/opt:` or `-I`.

    A path is text that starts with a drive, with `\home`, `\local` or `.\`; other text with a backslash is one
    only where it names something that exists, since it may as well be a pattern. A path without a counterpart
    stays as it is written, with the problem in `path`. A closing separator is kept.
    """
    known = windows_variables(layout) if variables is None else variables
    expanded = expand_text(argument, known)
    prefix = _PREFIX.match(expanded)
    start = prefix.end() if prefix else 0
    candidate = expanded[start:]
    if "\\" not in candidate and not _DRIVE.match(candidate):
        return MappedArgument(text=argument, value=expanded)
    path = map_path(candidate, layout, variables={}, list_folder=list_folder, directory=directory)
    if path.posix is None:
        reported = path if _DRIVE.match(candidate) or path.rule is Rule.REFUSED else None
        return MappedArgument(text=argument, value=expanded, path=reported)
    if path.rule is Rule.RELATIVE and not (path.exists or candidate.startswith((".\\", "..\\"))):
        return MappedArgument(text=argument, value=expanded)
    closing = "/" if candidate[-1] in "\\/" and path.posix != "/" else ""
    return MappedArgument(text=argument, value=expanded[:start] + path.posix + closing, path=path)
