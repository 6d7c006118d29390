"""How the front is set up: given on its command line by the supervisor."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontOptions:
    """What the front is given.

    `explicit` and `implicit` are inherited listening sockets: of FTP, where the client asks for TLS, and of FTPS, where
    TLS comes first. `certificate` holds the key too. `auth_socket` leads to the control plane, `sites` holds
    `<site>.sock` of each site's FTP process. Data connections come to the ports from `passive_first` to `passive_last`.
    """

    explicit: tuple[int, ...]
    implicit: tuple[int, ...]
    certificate: Path
    auth_socket: Path
    sites: Path
    passive_first: int
    passive_last: int
