"""Where everything of one Homeport lies on the machine.

State that must outlive a reboot is below the data folder; sockets, pids and compiled configuration are below
the run folder, a short path on tmpfs (a Unix socket's path may have 107 bytes, a data folder's may be longer).
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """Every path of the node, derived from the data folder and the run folder."""

    data: Path
    run: Path

    @property
    def sites(self) -> Path:
        """One folder a site; its `home` is /home in the sandbox."""
        return self.data / "sites"

    @property
    def runtimes(self) -> Path:
        """Prepared templates of Pythons, one folder a build."""
        return self.data / "runtimes"

    @property
    def state(self) -> Path:
        """The agent's own memory: the last desired state and the last good plans."""
        return self.data / "node"

    @property
    def tls(self) -> Path:
        """The local certificate authority and the certificates of sites."""
        return self.data / "tls"

    @property
    def certificates(self) -> Path:
        """The certificates that nginx shows, with their keys."""
        return self.tls / "hosts"

    @property
    def certificates_view(self) -> Path:
        """Where nginx sees `certificates`."""
        return self.run / "tls"

    @property
    def logs(self) -> Path:
        """Logs of the platform itself, never of a site."""
        return self.data / "logs"

    @property
    def control(self) -> Path:
        """The control plane's own state."""
        return self.data / "control"

    @property
    def location(self) -> Path:
        """The file that tells the command line where the running platform listens."""
        return self.data / "run.json"

    @property
    def nginx_log(self) -> Path:
        """What nginx says of itself and of requests that went wrong."""
        return self.logs / "nginx.log"

    @property
    def nginx(self) -> Path:
        """Compiled nginx configuration."""
        return self.run / "nginx"

    @property
    def request_log(self) -> Path:
        """Where nginx writes requests down until the agent has read them."""
        return self.nginx / "requests.log"

    @property
    def sockets(self) -> Path:
        """Unix sockets that nginx connects to."""
        return self.run / "s"

    @property
    def applications(self) -> Path:
        """Sockets on which nginx takes its own requests for applications below SCM sites; nobody else gets in there."""
        return self.run / "a"

    @property
    def content(self) -> Path:
        """Where nginx sees `sites`, whatever the permissions of the data folder's parents."""
        return self.run / "content"

    @property
    def spool(self) -> Path:
        """On disk: bodies of requests and responses that nginx does not keep in memory."""
        return self.data / "spool"

    @property
    def spool_view(self) -> Path:
        """Where nginx sees `spool`."""
        return self.run / "spool"

    @property
    def namespaces(self) -> Path:
        """One mount point a site, holding its network namespace."""
        return self.run / "net"

    @property
    def front(self) -> Path:
        """The mount point of the network namespace that nginx runs in; no site can have this name."""
        return self.namespaces / "_front"

    @property
    def activator_socket(self) -> Path:
        """Where nginx asks for a process to be started."""
        return self.sockets / "_activator.sock"

    @property
    def agent_socket(self) -> Path:
        """The agent's own API, in a folder that the control plane's sandbox shows it."""
        return self.run / "agent/agent.sock"

    @property
    def control_socket(self) -> Path:
        """The control plane's API for the command line."""
        return self.run / "control/control.sock"

    @property
    def auth_socket(self) -> Path:
        """Where nginx asks whether a request may reach an SCM site."""
        return self.run / "control/auth.sock"

    @property
    def site_control(self) -> Path:
        """One socket a site, by which its own SCM app asks the agent."""
        return self.run / "c"

    @property
    def ftp_certificates(self) -> Path:
        """The folder of the certificate that the FTP front shows."""
        return self.tls / "ftp"

    @property
    def ftp_sockets(self) -> Path:
        """One socket a site, by which the FTP front reaches its FTP process."""
        return self.run / "f"

    @property
    def nginx_pid(self) -> Path:
        """The host's pid of the nginx master, written by the supervisor."""
        return self.run / "nginx.pid"

    def site(self, name: str) -> Path:
        """Return the folder of one site on the host."""
        return self.sites / name

    def home(self, name: str) -> Path:
        """Return what the site sees as /home."""
        return self.sites / name / "home"


def node_layout(data: Path) -> NodeLayout:
    """Derive the layout of the platform whose data folder this is; the same folder gives the same layout."""
    data = data.absolute()
    key = hashlib.sha256(os.fsencode(data)).hexdigest()[:10]
    if os.geteuid() == 0:
        base = Path("/run/homeport")
    else:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        base = (
            Path(runtime) / "homeport"
            if runtime
            else Path(tempfile.gettempdir()) / f"homeport-{os.geteuid()}"
        )
    return NodeLayout(data=data, run=base / key)
