"""How one platform on one machine is set up; every field has a default that works on loopback."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from homeport.model.errors import Invalid


def default_data() -> Path:
    """Return the data folder used when none is named: the system's as root, the user's own otherwise."""
    return Path("/var/lib/homeport") if os.geteuid() == 0 else Path.home() / ".local/share/homeport"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformOptions:
    """The options of `homeport up`.

    `http_port`, `https_port`: where nginx listens, 0 picks a free one. `domain`: sites are `<site>.<domain>`.
    `listen`: addresses nginx binds; empty means loopback for the domain `localhost` and every address otherwise.
    `ftp_port` (explicit TLS) and `ftps_port` (implicit): where FTP is served, None leaves it off, 0 picks a free one; data
    connections come to the ports of `ftp_passive`, first and last. `mounts_refuse_links` is found out at the start (`link_refusal`).
    """

    data: Path = field(default_factory=default_data)
    http_port: int = 8080
    https_port: int = 8443
    domain: str = "localhost"
    listen: tuple[str, ...] = ()
    mounts_refuse_links: bool = False
    ftp_port: int | None = None
    ftps_port: int | None = None
    ftp_passive: tuple[int, int] = (10001, 10300)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses to bind, IPv6 in brackets."""
        if self.listen:
            return self.listen
        return ("127.0.0.1", "[::1]") if self.domain == "localhost" else ("0.0.0.0", "[::]")  # noqa: S104

    @property
    def serves_ftp(self) -> bool:
        """Whether FTP is served at all."""
        return self.ftp_port is not None or self.ftps_port is not None

    def to_json(self) -> str:
        """Render for a child process's command line."""
        return json.dumps({**dataclasses.asdict(self), "data": str(self.data)})


def options_from_json(text: str) -> PlatformOptions:
    """Read what `to_json` wrote. Raises `Invalid`."""
    try:
        fields = json.loads(text)
        lists = {name: tuple(fields[name]) for name in ("listen", "ftp_passive")}
        return PlatformOptions(**{**fields, "data": Path(fields["data"]), **lists})
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(f"The platform's options are not readable: {error}.") from error
