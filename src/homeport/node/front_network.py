"""How nginx reaches the web servers of a site, which listen in the site's own network (decision 11).

nginx runs in a namespace of its own, the front. A site with an httpPlatform pool has a pair of virtual interfaces
between the front and its own namespace. There the kernel's address translation leads a pool's fixed port to the
processes that run at the moment, one connection to each in turn, and makes both ends look like 127.0.0.1, as under
IIS. Nothing else is in the front, and nothing of it listens there, so a site reaches neither it nor another site.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from homeport.model.errors import Unavailable
from homeport.node.tcp_diagnostics import TcpDiagnostics

_FRONT_ADDRESS = "100.64.0.1"
_FIRST_SITE = ipaddress.IPv4Address("100.64.0.2")
_MOST_SITES = 2**22 - 4
_LARGEST_PACKET = 65535
"""As on loopback: the pair carries no packet that a wire would have to cut."""
_LEAST_PORT = 1024
_PORTS = 60_000
_INTERFACE = "front"
_TABLE = "homeport"


def site_address(uid: int) -> str:
    """Return the address by which the front knows the site of this user."""
    return str(_FIRST_SITE + uid % _MOST_SITES)


def entrance_ports(pools: Iterable[str]) -> dict[str, int]:
    """Give each pool of a site its fixed port, derived from its id (`http-1a2b3c4d`)."""
    ports: dict[str, int] = {}
    for pool in sorted(pools):
        at = int(pool.rpartition("-")[2], 16) % _PORTS
        while _LEAST_PORT + at in ports.values():
            at = (at + 1) % _PORTS
        ports[pool] = _LEAST_PORT + at
    return ports


def translation(targets: Mapping[int, Sequence[int]]) -> str:
    """Write the rules for nft: which of the site's ports each entrance port leads to, in turn."""
    rules = [_rule(port, sorted(to)) for port, to in sorted(targets.items()) if to]
    return "\n".join(
        [
            f"add table ip {_TABLE}",
            f"add chain ip {_TABLE} entrance {{ type nat hook prerouting priority -100; }}",
            f"flush chain ip {_TABLE} entrance",
            *rules,
            f"add chain ip {_TABLE} source {{ type nat hook input priority 100; }}",
            f"flush chain ip {_TABLE} source",
            f'add rule ip {_TABLE} source iifname "{_INTERFACE}" snat to 127.0.0.1',
            f"add chain ip {_TABLE} away {{ type filter hook output priority 0; }}",
            f"flush chain ip {_TABLE} away",
            f'add rule ip {_TABLE} away oifname "{_INTERFACE}" ct state new drop',
            "",
        ]
    )


def _rule(port: int, to: Sequence[int]) -> str:
    chosen = str(to[0])
    if len(to) > 1:
        turns = ", ".join(f"{at} : {target}" for at, target in enumerate(to))
        chosen = f"numgen inc mod {len(to)} map {{ {turns} }}"
    return f'add rule ip {_TABLE} entrance iifname "{_INTERFACE}" tcp dport {port} dnat to 127.0.0.1:{chosen}'


_OPEN_SITE = f"""printf '%s\\n' "$@" | ip -batch -
echo 1 >/proc/sys/net/ipv4/conf/{_INTERFACE}/route_localnet
exec nft -f -"""


class SiteEntrance:
    """The way from the front into one site's namespace; `address` is where nginx finds the site."""

    def __init__(self, front: Path, site: Path, *, uid: int) -> None:
        self._front = front
        self._site = site
        self._interface = f"s{uid}"
        self.address = site_address(uid)
        self._targets: dict[int, tuple[int, ...]] = {}
        self._lock = asyncio.Lock()

    async def open(self, targets: Mapping[int, Sequence[int]]) -> None:
        """Connect the site's namespace, which must be up, with the front. Raises `Unavailable`.

        `targets` are the ports that each entrance port leads to from the beginning.
        """
        async with self._lock:
            self._targets = {port: tuple(to) for port, to in targets.items()}
            try:
                await self._connect()
            except Unavailable:
                # The kernel takes a namespace down in its own time: one end of the last pair may still be there.
                await _inside(self._front, "ip", "link", "delete", self._interface, may_fail=True)
                await self._connect()

    async def _connect(self) -> None:
        pair = f"type veth peer name {self._interface} mtu {_LARGEST_PACKET} netns {self._front}"
        await _inside(
            self._site,
            *("/bin/sh", "-ec", _OPEN_SITE, "sh"),
            f"link add {_INTERFACE} mtu {_LARGEST_PACKET} {pair}",
            f"address add {self.address} peer {_FRONT_ADDRESS} dev {_INTERFACE}",
            f"link set {_INTERFACE} up",
            text=translation(self._targets),
        )
        commands = (
            f"address add {_FRONT_ADDRESS} peer {self.address} dev {self._interface}",
            f"link set {self._interface} up",
        )
        await _inside(self._front, "ip", "-batch", "-", text="\n".join(commands) + "\n")

    async def lead(self, port: int, to: Iterable[int]) -> None:
        """Lead new connections to the entrance `port` to these ports of the site, in turn; to none refuses them."""
        async with self._lock:
            self._targets[port] = tuple(to)
            await self._write()

    async def _write(self) -> None:
        await _inside(self._site, "nft", "-f", "-", text=translation(self._targets))


class FrontConnections:
    """The connections that nginx has to sites; `front` None: nginx shares the machine's network."""

    def __init__(self, front: Path | None) -> None:
        self._namespace = front
        self._diagnostics: TcpDiagnostics | None = None

    def count(self) -> dict[tuple[bytes, int], int]:
        """Count them by the address (4 bytes) and port they lead to. Raises `Unavailable`."""
        if self._diagnostics is None:
            self._diagnostics = TcpDiagnostics(self._namespace)
        found = self._diagnostics.connections()
        return dict(Counter((one.remote_address, one.remote_port) for one in found))

    def close(self) -> None:
        """Let go of the namespace."""
        if self._diagnostics is not None:
            self._diagnostics.close()
            self._diagnostics = None


async def _inside(namespace: Path, *line: str, text: str = "", may_fail: bool = False) -> None:
    process = await asyncio.create_subprocess_exec(
        *("nsenter", f"--net={namespace}", *line),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate(text.encode())
    if process.returncode and not may_fail:
        raise Unavailable(f"'{' '.join(line)}' failed: {errors.decode(errors='replace').strip()}")
