"""How one control plane is set up: given on its command line by the supervisor."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """Where the control plane keeps its state and whom it speaks to.

    `data` is the platform's data folder. `socket` takes the command line's requests, `auth_socket` nginx's.
    `domain` and the ports are those under which sites are served; those of FTP are None where it is off.
    """

    data: Path
    agent_socket: Path
    socket: Path
    auth_socket: Path
    domain: str = "localhost"
    http_port: int = 8080
    https_port: int = 8443
    ftp_port: int | None = None
    ftps_port: int | None = None

    @property
    def state(self) -> Path:
        """The control plane's own folder, closed to everybody else."""
        return self.data / "control"
