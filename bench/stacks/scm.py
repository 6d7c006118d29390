"""The SCM site of a site, as clients reach it."""

import base64
import socket
from dataclasses import dataclass

from websockets.sync.client import ClientConnection, connect

from bench.machine import command_line, name
from bench.processes import StartError, wait_until
from bench.stacks.homeport import Platform
from bench.stacks.stack import fetch
from bench.wrk import Target

UP_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmSite:
    """Where a SCM site is and who may enter."""

    host: str
    port: int
    user: str
    password: str

    @property
    def authorization(self) -> str:
        """The header that signs in."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def fetch(self, path: str) -> tuple[int, bytes]:
        """Make one request."""
        where = Target(url=f"http://127.0.0.1:{self.port}/", host=f"{self.host}:{self.port}")
        return fetch(where, path=path, headers={"Authorization": self.authorization})

    def terminal(self, shell: str) -> ClientConnection:
        """Open the console's terminal as the page does."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connect(
            f"ws://{self.host}:{self.port}/api/homeport/terminal?shell={shell}&columns=80&rows=24",
            sock=connection,
            additional_headers={"Authorization": self.authorization},
        )


def scm_site(platform: Platform, site: str) -> ScmSite:
    """Find a site's SCM site and start it. Raises `StartError`."""
    shown = platform.show(site)
    host, _, port = str(shown["scm_url"]).rstrip("/").partition("://")[2].partition(":")
    found = ScmSite(
        host=host, port=int(port), user=shown["publishing"]["user"], password=shown["publishing"]["password"]
    )
    wait_until(lambda: found.fetch("/api/environment")[0] == 200, seconds=UP_SECONDS, what="the SCM site")
    return found


def scm_process(platform: Platform) -> int:
    """Give the process of the only SCM site that runs. Raises `StartError`."""
    found = [
        pid
        for pid in platform.members().site
        if command_line(pid).rstrip().endswith(" homeport.scm") and name(pid).startswith("python")
    ]
    if len(found) != 1:
        raise StartError(f"there are {len(found)} processes of SCM sites, not one")
    return found[0]
