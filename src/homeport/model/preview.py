"""Previews of deployments: their names, how many there may be, and when they are over."""

import hashlib
import re
from dataclasses import dataclass

from homeport.model.errors import Invalid

MOST_PREVIEWS = 3
"""Previews that one site may have at the same time."""
IDLE_SECONDS = 30 * 60.0
LONGEST_SECONDS = 8 * 3600.0
SETTING = "HOMEPORT_PREVIEW"
"""What tells an application that it runs in a preview: the id of the deployment."""
LIVE_HOME = "/live/home"
"""Where the sandbox of a preview shows the home of the live site."""
STAGING = "data/.homeport/previews"
"""Below the site's home: where the SCM app prepares what the agent then takes."""
PREVIEW_ID_LENGTH = 8
"""Hexadecimal digits that stand for a deployment in the name of its preview."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_BEGINS_WITH_HASH = re.compile(r"[0-9a-f]{8}[0-9a-f-]*")
_NAME = re.compile(r".+--preview-[0-9a-f]{8}")
_LONGEST_LABEL = 63


def preview_id(deployment: str) -> str:
    """Return the eight hexadecimal digits that stand for a deployment in names: its own where its id begins with them.

    Raises `Invalid` for what cannot be the id of a deployment.
    """
    if not _ID.fullmatch(deployment):
        raise Invalid("A preview is that of a deployment, named by its id.")
    if _BEGINS_WITH_HASH.fullmatch(deployment):
        return deployment[:PREVIEW_ID_LENGTH]
    return hashlib.sha256(deployment.encode()).hexdigest()[:PREVIEW_ID_LENGTH]


def preview_name(site: str, short: str) -> str:
    """Return the name that a preview has on the node, and as the first label of its host name.

    The name of a long site is cut, and what tells it from others is added.
    """
    ending = f"--preview-{short}"
    if len(site) + len(ending) > _LONGEST_LABEL:
        digest = hashlib.sha256(site.encode()).hexdigest()[:8]
        site = f"{site[: _LONGEST_LABEL - len(ending) - 9].rstrip('-')}-{digest}"
    return f"{site}{ending}"


def is_preview_name(name: str) -> bool:
    """Tell whether a name could be that of a preview."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """When a preview began and was used last, in seconds of the same clock."""

    started: float
    used: float

    @property
    def ends(self) -> float:
        """When it is over, unless it is used once more."""
        return min(self.used + IDLE_SECONDS, self.started + LONGEST_SECONDS)


def free_slot(taken: frozenset[int]) -> int | None:
    """Return the lowest free place of a site, from 1 on, None where it has as many previews as it may."""
    return next((slot for slot in range(1, MOST_PREVIEWS + 1) if slot not in taken), None)
