"""What nginx is given at its start: listening sockets of the machine's network, and a network of its own.

nginx itself runs in the front namespace (see `front_network`), from which it reaches sites and nothing else. The
sockets are opened outside and handed over, so visitors come in as ever, and wait while nginx is being started again.
"""

import os
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from homeport.model.errors import Conflict, Unavailable

_BACKLOG = 511
"""What nginx itself asks for."""
_PREPARE = """cd /proc/sys/net/ipv4
echo 0 >ip_forward
echo reno >tcp_congestion_control
echo 49152 65535 >ip_local_port_range
echo 1 >tcp_tw_reuse"""
"""Between nginx and a site nothing is lost and nothing is far away: packets need not be paced, ports can be few."""


def make_front(mount_point: Path) -> None:
    """Make the namespace. Raises `Unavailable`."""
    mount_point.parent.mkdir(parents=True, exist_ok=True)
    mount_point.touch()
    line = ("unshare", f"--net={mount_point}", "sh", "-ec", _PREPARE)
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"The network of nginx could not be made: {done.stderr.strip()}")


@contextmanager
def listening(addresses: Iterable[str], ports: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """Listen on every address (IPv6 in brackets) at every port and give the descriptors. Raises `Conflict`."""
    ports = tuple(ports)
    with ExitStack() as opened:
        yield tuple(
            opened.enter_context(_listener(address, port)).fileno() for address in addresses for port in ports
        )


def inherited_sockets(descriptors: Iterable[int]) -> dict[str, str]:
    """Give the environment variable by which nginx learns of the sockets it is to take over."""
    return {"NGINX": "".join(f"{descriptor};" for descriptor in descriptors)}


def _listener(address: str, port: int) -> socket.socket:
    six = address.startswith("[")
    listener = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if six:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.strip("[]"), port))
        listener.listen(_BACKLOG)
        os.set_blocking(listener.fileno(), False)
    except OSError as error:
        listener.close()
        raise Conflict(f"{address}:{port} cannot be listened on: {error.strerror}.") from error
    return listener
