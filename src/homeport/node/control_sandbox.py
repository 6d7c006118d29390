"""The launch line of the control plane: it speaks to the world's credentials, so it has no more power than it needs.

As root it runs as a user of its own, without capabilities, without network, and sees its own state, its sockets and
the agent's. Not as root it is an ordinary child.
"""

import os
import sys
from collections.abc import Sequence

from homeport.node.layout import NodeLayout
from homeport.node.platform_view import platform_mounts, platform_program
from homeport.node.sandbox import system_view

CONTROL_UID = 60000
"""The control plane's user; sites' users begin one above."""


def control_line(layout: NodeLayout, arguments: Sequence[str], *, web_group: int | None) -> tuple[str, ...]:
    """Return the line that starts the control plane. `web_group` reaches its sign-in socket."""
    if os.geteuid() != 0:
        return (sys.executable, "-m", "homeport.control", *arguments)
    mounts = platform_mounts()
    targets = (*(mount.target for mount in mounts), str(layout.control), str(layout.run / "x"))
    line = ["bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    line += ["--unshare-net", "--cap-drop", "ALL"]
    for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
        line += ["--cap-add", capability]
    line += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *system_view(targets)]
    for mount in mounts:
        line += ["--ro-bind", str(mount.source), mount.target]
    for folder in (layout.control, layout.control_socket.parent, layout.agent_socket.parent):
        line += ["--bind", str(folder), str(folder)]
    user = [
        "setpriv",
        "--reuid",
        str(CONTROL_UID),
        "--regid",
        str(web_group or CONTROL_UID),
        "--clear-groups",
    ]
    return (
        *line,
        "--",
        *user,
        "--no-new-privs",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--",
        *platform_program("homeport.control", *arguments),
    )
