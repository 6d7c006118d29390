"""What a site requires, from whichever file says it: as lines of a requirements file.

Pure: texts in, lines out. The order of preference is Oryx's (Kudu reference §12.8), with lock files before what they
were made from.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeport.model.errors import Invalid

SOURCES = ("requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "Pipfile", "pyproject.toml")
"""The files that say what a site requires, the strongest first."""
_PLAIN = re.compile(r"[A-Za-z0-9][^@/\\]*(#.*)?")
_HARMLESS = (
    "--index-url",
    "--extra-index-url",
    "-i ",
    "--hash",
    "--prefer-binary",
    "--only-binary",
    "--no-binary",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """What is to be installed: the lines of a requirements file, and the name of the file that they come from."""

    source: str
    lines: tuple[str, ...]


class UnreadableRequirements(Invalid):
    """A file that should say what is required cannot be read, or says it in a way that is not supported."""

    code = "UnreadableRequirements"


def read_required(name: str, text: str) -> Required:
    """Turn one of `SOURCES` (but `uv.lock`, which uv itself reads) into lines. Raises `UnreadableRequirements`."""
    try:
        match name:
            case "Pipfile.lock":
                lines = _pipfile_lock(json.loads(text))
            case "Pipfile":
                lines = _pipfile(tomllib.loads(text))
            case "poetry.lock":
                lines = _poetry_lock(tomllib.loads(text))
            case "pyproject.toml":
                lines = _pyproject(tomllib.loads(text))
            case _:
                lines = text.splitlines()
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UnreadableRequirements(f"{name} cannot be read: {error}") from error
    return Required(source=name, lines=tuple(lines))


def is_self_contained(required: Required) -> bool:
    """Tell whether the same lines always mean the same packages: no further files, folders or addresses."""
    for line in required.lines:
        text = line.strip().rstrip("\\").strip()
        if text and not text.startswith(("#", *_HARMLESS)) and not _PLAIN.fullmatch(text):
            return False
    return True


def _pyproject(document: Mapping[str, Any]) -> list[str]:
    project = document.get("project")
    if project is None:
        if "poetry" in document.get("tool", {}):
            raise UnreadableRequirements(
                "pyproject.toml lists its dependencies for poetry only: deploy its poetry.lock too (poetry lock)."
            )
        return []
    if "dependencies" in project.get("dynamic", ()):
        raise UnreadableRequirements(
            "pyproject.toml says that its dependencies are dynamic: deploy a requirements.txt or a lock file too."
        )
    return [str(line) for line in project.get("dependencies", ())]


def _pipfile_lock(document: Mapping[str, Any]) -> list[str]:
    packages = document.get("default", {})
    return [
        *_index(document.get("_meta", {}).get("sources", ())),
        *(_pipfile_line(name, entry) for name, entry in packages.items()),
    ]


def _pipfile(document: Mapping[str, Any]) -> list[str]:
    packages = document.get("packages", {})
    return [
        *_index(document.get("source", ())),
        *(_pipfile_line(name, entry) for name, entry in packages.items()),
    ]


def _index(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"--index-url {_one_line(source['url'])}" for source in sources[:1]]


def _pipfile_line(name: str, entry: object) -> str:
    details: Mapping[str, Any] = {"version": entry} if isinstance(entry, str) else entry  # type: ignore[assignment]
    if not isinstance(details, dict) or "version" not in details:
        raise UnreadableRequirements(
            f"'{name}' of the Pipfile is required from a folder or a repository: write it into a requirements.txt."
        )
    version = "" if details["version"] == "*" else str(details["version"])
    return _line(
        name,
        version=version,
        extras=details.get("extras", ()),
        marker=details.get("markers"),
        hashes=details.get("hashes", ()),
    )


def _poetry_lock(document: Mapping[str, Any]) -> list[str]:
    lines = []
    for package in document.get("package", ()):
        groups = package.get("groups", [package.get("category", "main")])
        if "main" not in groups or package.get("optional", False):
            continue
        if "source" in package and package["source"].get("type") not in {"legacy", None}:
            raise UnreadableRequirements(
                f"'{package['name']}' of poetry.lock is required from a folder or a repository: "
                "write it into a requirements.txt."
            )
        marker = package.get("markers")
        files = package.get("files") or document.get("metadata", {}).get("files", {}).get(package["name"], ())
        lines.append(
            _line(
                package["name"],
                version=f"=={package['version']}",
                marker=marker.get("main") if isinstance(marker, dict) else marker,
                hashes=[file["hash"] for file in files],
            )
        )
    return lines


def _line(name: str, *, version: str, extras: object = (), marker: object = None, hashes: object = ()) -> str:
    wanted = [str(extra) for extra in extras] if isinstance(extras, list | tuple) else []
    text = f"{name}[{','.join(wanted)}]{version}" if wanted else f"{name}{version}"
    if marker:
        text += f" ; {marker}"
    known = [str(value) for value in hashes] if isinstance(hashes, list | tuple) else []
    return _one_line(" ".join([text, *(f"--hash={value}" for value in known)]))


def _one_line(text: object) -> str:
    """A value of a lock file stays one line: it cannot add an option of its own."""
    value = str(text)
    if "\n" in value or "\r" in value:
        raise ValueError("a value spans lines")
    return value
