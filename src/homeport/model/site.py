"""A site: its name, its limits, and what the agent is asked to make true about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from homeport.model.errors import Invalid

SiteName = NewType("SiteName", str)

_SITE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?")
_RESERVED = frozenset({"portal", "management", "login", "scm", "www-homeport"})


def site_name(text: str) -> SiteName:
    """Check and normalise the name of a site: letters, digits and inner hyphens, 60 at most, as App Service.

    Raises `Invalid` for anything else and for the names that the platform uses itself.
    """
    name = text.lower()
    if not _SITE_NAME.fullmatch(name):
        raise Invalid(
            f"'{text}' cannot be the name of a site: use 1 to 60 letters, digits and hyphens, "
            "with no hyphen at either end.",
            code="InvalidSiteName",
        )
    if name in _RESERVED:
        raise Invalid(
            f"'{text}' is a name the platform uses itself: choose another.", code="ReservedSiteName"
        )
    return SiteName(name)


def new_site_name(text: str) -> SiteName:
    """Check and normalise the name of a site that is to be made: as `site_name`, and without `--`.

    Two hyphens part a site's name from a preview's (`model.preview`). Raises `Invalid`.
    """
    name = site_name(text)
    if "--" in name:
        raise Invalid(
            f"'{text}' cannot be the name of a site: two hyphens in a row stand in the names of previews.",
            code="InvalidSiteName",
        )
    return name


class SiteState(StrEnum):
    """What the owner asked for: a stopped site answers 403 and has no process."""

    RUNNING = "Running"
    STOPPED = "Stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one site may use; `None` leaves that resource unlimited.

    `request_body_bytes` is the most that web.config may allow; where it says nothing, IIS's 30 000 000 hold.
    """

    memory_bytes: int | None = 1536 * 1024 * 1024
    cpu_percent: int | None = None
    processes: int | None = 512
    request_body_bytes: int = 1024 * 1024 * 1024


MINIMUM_TLS = ("1.2", "1.3")
"""The versions that a site may ask for at least; nothing older is spoken at all."""

MOST_HTTP_LOG_MEGABYTES = 10_000

PLAIN_FTP_ALLOWED, FTPS_ONLY, FTPS_DISABLED = FTPS_STATES = ("AllAllowed", "FtpsOnly", "Disabled")
"""How a site takes FTP, in App Service's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """How a site meets the web.

    `https_only` redirects plain HTTP. `minimum_tls` is one of `MINIMUM_TLS`. `http_logging` writes access logs, of
    which `http_log_megabytes` are kept, and for `http_log_days` days (0: as long as there is room), as App Service's
    `httpLoggingEnabled` and its retention. `ftps_state` is one of `FTPS_STATES`; it matters where the platform serves FTP.
    """

    https_only: bool = False
    minimum_tls: str = "1.2"
    http_logging: bool = False
    http_log_megabytes: int = 35
    http_log_days: int = 0
    ftps_state: str = FTPS_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCertificate:
    """A certificate that the owner gave: `pem` is the key, the certificate and its chain, for `names`."""

    thumbprint: str
    names: tuple[str, ...]
    pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledRuntime:
    """A Python in a site: `folder` below /home, the id asked for, the version that it really is.

    `base` is the interpreter's own prefix on the machine, mounted read-only at the same path in the sandbox;
    `build` names the gallery's entry it came from (`cpython-3.6.15`).
    """

    folder: str
    id: str
    version: str
    build: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredSite:
    """One site as the control plane wants it: the agent's whole input about it, but for the files under /home."""

    name: SiteName
    uid: int
    state: SiteState
    hostnames: tuple[str, ...]
    scm_hostnames: tuple[str, ...]
    app_settings: Mapping[str, str] = field(default_factory=dict)
    runtimes: tuple[InstalledRuntime, ...] = ()
    limits: Limits = field(default_factory=Limits)
    config: SiteConfig = field(default_factory=SiteConfig)
    certificates: tuple[SiteCertificate, ...] = ()
