"""The launch lines of the control plane and of the FTP front: they have no more power than they need.

The control plane speaks to the world's credentials. As root it runs as a user of its own, without capabilities, without
network, and sees its own state, its sockets and the agent's. So does the front, but with network and without any state.
Not as root they are ordinary children.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from homeport.node.layout import NodeLayout
from homeport.node.platform_view import platform_mounts, platform_program
from homeport.node.sandbox import system_view

CONTROL_UID = 60000
"""The control plane's user; sites' users begin one above."""
FTP_UID = 59999
"""The user of the FTP front."""


def control_line(layout: NodeLayout, arguments: Sequence[str], *, web_group: int | None) -> tuple[str, ...]:
    """Return the line that starts the control plane. `web_group` reaches its sign-in socket."""
    if os.geteuid() != 0:
        return (sys.executable, "-m", "homeport.control", *arguments)
    folders = (layout.control, layout.control_socket.parent, layout.agent_socket.parent)
    return (
        *_sandbox(folders, writable=True, network=False),
        *_become(CONTROL_UID, web_group or CONTROL_UID),
        *platform_program("homeport.control", *arguments),
    )


def ftp_front_line(layout: NodeLayout, arguments: Sequence[str], *, web_group: int | None) -> tuple[str, ...]:
    """Return the line that starts the FTP front: it meets strangers, so it sees its certificate and sockets, no files.

    `web_group` may read the certificate and connect to the sockets.
    """
    if os.geteuid() != 0:
        return (sys.executable, "-m", "homeport.ftp.front", *arguments)
    folders = (layout.ftp_certificates, layout.control_socket.parent, layout.ftp_sockets)
    return (
        *_sandbox(folders, writable=False, network=True),
        *_become(FTP_UID, web_group or FTP_UID),
        *platform_program("homeport.ftp.front", *arguments),
    )


def _sandbox(folders: Sequence[Path], *, writable: bool, network: bool) -> tuple[str, ...]:
    """Show our own code, the system, and these folders at their own paths."""
    mounts = platform_mounts()
    targets = (*(mount.target for mount in mounts), *map(str, folders))
    line = ["bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    line += [*([] if network else ["--unshare-net"]), "--cap-drop", "ALL"]
    for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
        line += ["--cap-add", capability]
    line += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *system_view(targets)]
    for mount in mounts:
        line += ["--ro-bind", str(mount.source), mount.target]
    for folder in folders:
        line += ["--bind" if writable else "--ro-bind", str(folder), str(folder)]
    return (*line, "--")


def _become(uid: int, gid: int) -> tuple[str, ...]:
    user = ("setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups")
    return (*user, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--")
