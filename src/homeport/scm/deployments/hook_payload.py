"""What `/deploy` is told: the generic form, and what GitHub, GitLab and Bitbucket send (Kudu reference §4.7). Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from homeport.model.errors import Invalid

_SCHEMES = frozenset({"http", "https", "ssh"})
_SHORT_SSH = re.compile(r"([A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*):([A-Za-z0-9~_.][\w./~+-]*)", re.ASCII)
"""git's `user@host:path`, which is ssh."""
_BRANCHES = "refs/heads/"
_GITLAB_PUBLIC = 20
_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is to be fetched: from which address, who says so, and which branches changed (None: whichever)."""

    address: str
    branches: tuple[str, ...] | None
    deployer: str

    @property
    def by_hand(self) -> bool:
        """Whether a person asks, who waits for the answer, and not a service."""
        return self.branches is None


def read_payload(payload: object) -> Source | None:
    """Read a payload; None where it is of no known kind.

    `branches` is empty where nothing that could be deployed has changed: a ping, a tag, a branch that was deleted.
    Raises `Invalid` for an address that git is not let go to.
    """
    if not isinstance(payload, dict):
        return None
    if payload.get("format") == "basic":
        if str(payload.get("scm", "git")).lower() != "git":
            return None
        return Source(address=_checked(payload.get("url")), branches=None, deployer="External")
    repository = payload.get("repository")
    if not isinstance(repository, dict):
        return None
    return next((source for read in _SERVICES if (source := read(payload, repository)) is not None), None)


def _gitlab(payload: Mapping[str, Any], repository: Mapping[str, Any]) -> Source | None:
    if "object_kind" not in payload or "git_http_url" not in repository:
        return None
    private = repository.get("visibility_level", _GITLAB_PUBLIC) != _GITLAB_PUBLIC
    address = _by_key(repository.get("git_ssh_url"), private) or repository["git_http_url"]
    branches = _pushed(payload) if payload["object_kind"] == "push" else ()
    return Source(address=_checked(address), branches=branches, deployer="GitLab")


def _github(payload: Mapping[str, Any], repository: Mapping[str, Any]) -> Source | None:
    """Read what GitHub sends, and Gitea and others in its words."""
    if "clone_url" not in repository:
        return None
    address = _by_key(repository.get("ssh_url"), repository.get("private") is True) or repository["clone_url"]
    return Source(address=_checked(address), branches=_pushed(payload), deployer="GitHub")


def _bitbucket(payload: Mapping[str, Any], repository: Mapping[str, Any]) -> Source | None:
    links = repository.get("links")
    page = links["html"] if isinstance(links, dict) and isinstance(links.get("html"), dict) else {}
    address = page.get("href")
    if address is None:
        return None
    if repository.get("is_private") is True:
        parts = urlsplit(_checked(address))
        address = f"ssh://git@{parts.hostname}{parts.path}.git"
    return Source(address=_checked(address), branches=tuple(_changes(payload)), deployer="Bitbucket")


_SERVICES = (_gitlab, _github, _bitbucket)


def _pushed(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the branch that was pushed; the commit of a deleted one is all zeros."""
    reference = str(payload.get("ref") or "")
    gone = payload.get("deleted") is True or not str(payload.get("after") or "1").strip("0")
    return (reference.removeprefix(_BRANCHES),) if reference.startswith(_BRANCHES) and not gone else ()


def _changes(payload: Mapping[str, Any]) -> Iterator[str]:
    push = payload.get("push")
    changes = push.get("changes") if isinstance(push, dict) else None
    for change in changes if isinstance(changes, list) else ():
        new = change.get("new") if isinstance(change, dict) else None
        if isinstance(new, dict) and new.get("type", "branch") == "branch":
            yield str(new.get("name"))


def _by_key(address: object, private: bool) -> object:  # noqa: FBT001
    """Return the address at which the site's SSH key opens a private repository, None for a public one."""
    return address if private else None


def _checked(address: object) -> str:
    """Return an address for git. Raises `Invalid` where it is none, or one of a kind that could do anything else."""
    text = address if isinstance(address, str) else ""
    short = _SHORT_SSH.fullmatch(text)
    if short is not None:
        return f"ssh://{short[1]}/{short[2]}"
    try:
        parts = urlsplit(text)
        if parts.scheme.lower() in _SCHEMES and parts.hostname:
            return text
    except ValueError:
        pass  # as of an unclosed bracket
    raise Invalid(
        f"'{text[:_MOST_SHOWN]}' is no address that the site fetches from: give one that begins with https://, http:// "
        "or ssh://, or git@host:path."
    )
