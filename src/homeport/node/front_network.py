"""How nginx reaches the web servers of a site, which listen in the site's own network (decision 11).

nginx runs in a namespace of its own, the front. A site with an httpPlatform pool has a pair of virtual interfaces
between the front and its own namespace. There the kernel writes other addresses into packets: a pool's fixed port
leads to the processes that run at the moment, one connection to each in turn, and both ends look like 127.0.0.1, as
under IIS. Nothing else is in the front, and nothing of it listens there, so a site reaches neither it nor another site.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from homeport.model.errors import Unavailable
from homeport.node.tcp_diagnostics import TcpDiagnostics

_LOOPBACK = int(ipaddress.IPv4Address("127.0.0.1"))
_FRONT_NETWORK = 198 << 8 | 18
_FIRST_SITE = ipaddress.IPv4Address("100.64.0.2")
_MOST_SITES = 2**22 - 4
_LARGEST_PACKET = 65535
"""As on loopback: the pair carries no packet that a wire would have to cut."""
_LEAST_PORT = 1024
_PORTS = 60_000
_PORTS_OF_FRONT = 16_384
"""How many ports nginx's side of connections has (`front`)."""
_INTERFACE = "front"
_TABLE = "homeport"


def site_address(uid: int) -> str:
    """Return the address by which the front knows the site of this user."""
    return str(_FIRST_SITE + uid % _MOST_SITES)


def front_address(uid: int) -> str:
    """Return the front's address for the site of this user.

    As far as checksums go, it and the site's together are twice 127.0.0.1: so both addresses of a packet can be
    written over at once, and its checksums stay as they are.
    """
    site = int(ipaddress.IPv4Address(site_address(uid)))
    wanted = 2 * ((_LOOPBACK >> 16) + (_LOOPBACK & 0xFFFF)) - (site >> 16) - (site & 0xFFFF) - _FRONT_NETWORK
    return str(ipaddress.IPv4Address(_FRONT_NETWORK << 16 | wanted % 0xFFFF))


def _both(source: str | int, target: str | int) -> str:
    """Write both addresses of a packet over: bits 96 to 159 of its header."""
    addresses = int(ipaddress.IPv4Address(source)) << 32 | int(ipaddress.IPv4Address(target))
    return f"@nh,96,64 set {addresses:#018x}"


def entrance_ports(pools: Iterable[str]) -> dict[str, int]:
    """Give each pool of a site its fixed port, derived from its id (`http-1a2b3c4d`)."""
    ports: dict[str, int] = {}
    for pool in sorted(pools):
        at = int(pool.rpartition("-")[2], 16) % _PORTS
        while _LEAST_PORT + at in ports.values():
            at = (at + 1) % _PORTS
        ports[pool] = _LEAST_PORT + at
    return ports


@dataclass(frozen=True, slots=True)
class Route:
    """Where the connections to one entrance port lead: new ones to the ports `to`, in turn; none refuses them.

    `ending` are the other ports that still have connections. While there are several ports, each new connection is
    written down; one that is not belongs to `first`, which was alone before.
    """

    to: tuple[int, ...]
    ending: tuple[int, ...] = ()
    first: int | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that has connections or gets some."""
        return (*self.to, *self.ending)

    def followed_by(self, to: Iterable[int], ending: Iterable[int]) -> "Route":
        """Return the route after this one; the connections that there are keep their ports."""
        to = tuple(sorted(to))
        after = Route(to, tuple(sorted(set(ending) - set(to))))
        if len(after.ports) < 2:
            return after
        alone = self.ports[0] if len(self.ports) == 1 else self.first
        return replace(after, first=alone)


def translation(uid: int, routes: Mapping[int, Route]) -> str:
    """Write the rules for nft that lead what comes to the site of this user to its ports, and answers back.

    No state is kept of packets: addresses and ports are written over. The mark makes the kernel send what a socket
    answers by way of the front, though it goes to 127.0.0.1 (`_ANSWERS`).
    """
    rules = [rule for port, route in sorted(routes.items()) for rule in _rules(port, route)]
    back = {port: entrance for entrance, route in sorted(routes.items()) for port in route.ports}
    site, front = site_address(uid), front_address(uid)
    leaving = [
        f'oif != "{_INTERFACE}" accept',
        # What nearly every packet is comes first.
        *([f"{_answers(back)} {_both(site, front)} accept"] if back else ()),
        "ip protocol != tcp drop",
        "tcp flags & (syn | ack) == syn drop",
        f"ip daddr != {front} drop",
    ]
    return "\n".join(
        [
            f"add table ip {_TABLE}",
            f"add chain ip {_TABLE} entrance {{ type filter hook prerouting priority -300; }}",
            f"flush chain ip {_TABLE} entrance",
            f'add rule ip {_TABLE} entrance iif != "{_INTERFACE}" accept',
            *rules,
            f"add chain ip {_TABLE} back {{ type filter hook postrouting priority 300; }}",
            f"flush chain ip {_TABLE} back",
            *(f"add rule ip {_TABLE} back {rule}" for rule in leaving),
            "",
        ]
    )


def _answers(back: Mapping[int, int]) -> str:
    """Match what the site's ports answer (it opens no connection towards the front), and write entrance ports into it."""
    answers = "ip saddr 127.0.0.1 tcp flags & (syn | ack) != syn"
    if len(back) == 1:
        ((port, entrance),) = back.items()
        return f"tcp sport {port} {answers} tcp sport set {entrance}"
    known = ", ".join(f"{port} : {entrance}" for port, entrance in back.items())
    return f"{answers} tcp sport set tcp sport map {{ {known} }}"


def _rules(port: int, route: Route) -> list[str]:
    rule = f"add rule ip {_TABLE} entrance tcp dport {port}"
    new, known = (f"tcp flags & (fin | syn | rst | ack) {sign} syn" for sign in ("==", "!="))
    local = f"{_both(_LOOPBACK, _LOOPBACK)} accept"
    chosen = f"chosen_{port}"
    there = f"add map ip {_TABLE} {chosen} {{ type inet_service : inet_service; flags dynamic; size {_PORTS_OF_FRONT}; }}"
    if len(route.ports) < 2:
        forgotten = [there, f"delete map ip {_TABLE} {chosen}"]
        which = f"{rule} " if route.to else f"{rule} {known} "
        return [*forgotten, *(f"{which}meta mark set 1 tcp dport set {only} {local}" for only in route.ports)]
    turns = [f"{rule} {new} meta mark set numgen inc mod {len(route.to)}"] if route.to else []
    choices = [
        f"{rule} {new} meta mark {turn} add @{chosen} {{ tcp sport : {to} }}"
        for turn, to in enumerate(route.to)
    ]
    others = [f"{rule} {known} meta mark set 1 tcp dport set {route.first} {local}"] if route.first else []
    return [
        there,
        f"{rule} {new} delete @{chosen} {{ tcp sport : 0 }}",
        *turns,
        *choices,
        f"{rule} meta mark set 1 tcp dport set tcp sport map @{chosen} {local}",
        *others,
    ]


_ANSWERS = (
    "rule add pref 1 lookup local",
    "rule delete pref 0",
    "rule add pref 0 iif lo fwmark 1 lookup 100",
)
"""Lead what marked sockets send through the front: sockets take the mark over from the packet that opens them."""
_OPEN_SITE = f"""printf '%s\\n' "$@" | ip -batch -
cd /proc/sys/net/ipv4
echo 1 >tcp_fwmark_accept
echo 1 >fwmark_reflect
echo 1 >conf/{_INTERFACE}/route_localnet
echo 1 >conf/{_INTERFACE}/accept_local
echo 0 >conf/{_INTERFACE}/rp_filter
echo 0 >conf/all/rp_filter
echo reno >tcp_congestion_control
exec nft -f -"""


class SiteEntrance:
    """The way from the front into one site's namespace; `address` is where nginx finds the site."""

    def __init__(self, front: Path, site: Path, *, uid: int) -> None:
        self._front = front
        self._site = site
        self._interface = f"s{uid}"
        self._uid = uid
        self.address = site_address(uid)
        self._front_address = front_address(uid)
        self._routes: dict[int, Route] = {}
        self._lock = asyncio.Lock()

    async def open(self, targets: Mapping[int, Iterable[int]]) -> None:
        """Connect the site's namespace, which must be up, with the front. Raises `Unavailable`.

        `targets` are the ports that each entrance port leads to from the beginning.
        """
        async with self._lock:
            self._routes = {port: Route(tuple(to)) for port, to in targets.items()}
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
            f"address add {self.address} peer {self._front_address} dev {_INTERFACE}",
            f"link set {_INTERFACE} up",
            *_ANSWERS,
            f"route add default via {self._front_address} dev {_INTERFACE} table 100",
            text=translation(self._uid, self._routes),
        )
        commands = (
            f"address add {self._front_address} peer {self.address} dev {self._interface}",
            f"link set {self._interface} up",
        )
        await _inside(self._front, "ip", "-batch", "-", text="\n".join(commands) + "\n")

    async def lead(self, port: int, to: Iterable[int], ending: Iterable[int] = ()) -> None:
        """Lead new connections to the entrance `port` to these ports of the site, in turn; to none refuses them.

        Those to the ports in `ending` go on.
        """
        async with self._lock:
            self._routes[port] = self._routes.get(port, Route(())).followed_by(to, ending)
            await _inside(self._site, "nft", "-f", "-", text=translation(self._uid, self._routes))


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
