"""Where OneDeploy puts which kind of artifact (Kudu reference §3.5). Pure: the query in, a place or a refusal out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from homeport.model.errors import Invalid

PLACEHOLDER_PAGE = "hostingstart.html"
PLACEHOLDER_TEXT = (
    b'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>This site is empty</title></head>\n'
    b"<body><h1>This site is up and running</h1><p>It has no content yet.</p></body></html>\n"
)
_TYPES = ("war", "jar", "ear", "lib", "static", "startup", "script", "zip")
_STACKS: Mapping[str, tuple[str, ...]] = {
    "war": ("TOMCAT", "JBOSSEAP", "JAVA"),
    "jar": ("JAVA",),
    "ear": ("JBOSSEAP",),
}
_ROOTS: Mapping[str, str] = {"lib": "site/libs", "script": "site/scripts"}
_HOME = re.compile(r"(?:/?(?:home|%home%|\$home)/|[cd]:/home/|/?(?:%home%|\$home)$|/home$|[cd]:/home$)", re.I)


class RefusedArtifact(Invalid):
    """The request names no place that an artifact may go to; the message is the JSON text of the answer."""

    code = "RefusedArtifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Where an artifact goes: `folder` relative to home, and the name of the file, None for a zip to be unpacked."""

    folder: str
    file: str | None
    clean: bool


def place_artifact(
    kind: str, *, path: str | None, clean: bool | None, ignore_stack: bool = False, stack: str = ""
) -> Artifact:
    """Decide where an artifact goes; raises `RefusedArtifact`.

    `clean` None is the type's own default. `stack` is `WEBSITE_STACK`; unset, no stack is the wrong one.
    """
    kind = kind.lower()
    if kind not in _TYPES:
        raise RefusedArtifact(f"Artifact type '{kind}' not supported. The types are: {', '.join(_TYPES)}.")
    _check_stack(kind, ignore_stack=ignore_stack, stack=stack)
    path = (path or "").replace("\\", "/").strip()
    match kind:
        case "zip":
            folder = _below_home(path)
            return Artifact(
                folder=_cleanable(folder, clean=clean is not False), file=None, clean=clean is not False
            )
        case "startup":
            return Artifact(folder="site/scripts", file="startup.cmd", clean=False)
        case "jar" | "ear":
            return Artifact(folder="site/wwwroot", file=f"app.{kind}", clean=bool(clean))
        case "war":
            return _war(path, clean=bool(clean))
    if not path:
        raise RefusedArtifact(f"Path must be defined for {kind} deployments.")
    if path.endswith("/"):
        raise RefusedArtifact(f"Path cannot end with a '/' for {kind} deployments: name the file.")
    folder, _, file = _target(kind, path).rpartition("/")
    return Artifact(folder=_cleanable(folder, clean=bool(clean)), file=file, clean=bool(clean))


def _check_stack(kind: str, *, ignore_stack: bool, stack: str) -> None:
    wanted = _STACKS.get(kind)
    if wanted and stack and not ignore_stack and stack.upper() not in wanted:
        raise RefusedArtifact(f"Artifact type '{kind}' cannot be deployed to stack = '{stack}'.")


def _war(path: str, *, clean: bool) -> Artifact:
    if not path:
        return Artifact(folder="site/wwwroot", file="app.war", clean=clean)
    if "/" not in path and path.lower().endswith(".war"):
        return Artifact(folder="site/wwwroot", file=_name(path), clean=clean)
    below = re.sub(r"^/home/site/wwwroot/", "", path, flags=re.IGNORECASE)
    if re.fullmatch(r"webapps/[^/]+/?", below):
        return Artifact(folder=f"site/wwwroot/webapps/{_name(below.split('/')[1])}", file=None, clean=True)
    raise RefusedArtifact(
        f"path='{path}' is not valid for a war: give name.war, or webapps/<directory-name> to unpack it there."
    )


def _target(kind: str, path: str) -> str:
    if kind == "static":
        return _below_home(path)
    root = _ROOTS[kind]
    if _HOME.match(path):
        found = _below_home(path)
        if not found.startswith(f"{root}/"):
            raise RefusedArtifact(f"Absolute path for {kind} deployments must start with '/home/{root}/'.")
        return found
    if path.startswith("/"):
        raise RefusedArtifact(f"Absolute path for {kind} deployments must start with '/home/{root}/'.")
    return f"{root}/{_clean_path(path)}"


def _below_home(path: str) -> str:
    """Return a path relative to home: an absolute one in any of Kudu's spellings, else one below wwwroot."""
    match = _HOME.match(path)
    if match:
        return _clean_path(path[match.end() :])
    below = _clean_path(path)
    return f"site/wwwroot/{below}" if below else "site/wwwroot"


def _clean_path(path: str) -> str:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    for part in parts:
        _name(part)
    return "/".join(parts)


def _name(part: str) -> str:
    if part == ".." or "\0" in part or ":" in part:
        raise RefusedArtifact(f"Path cannot contain '{part}'.")
    return part


def _cleanable(folder: str, *, clean: bool) -> str:
    if clean and str(PurePosixPath(folder)) in {".", "site"}:
        shown = "/home/site" if folder else "/home"
        raise RefusedArtifact(f"Clean deployments cannot be performed in {shown}.")
    return folder
