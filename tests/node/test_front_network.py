"""The way from nginx into a site's network, with the kernel's real tables."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.node.front import make_front
from homeport.node.front_network import (
    FrontConnections,
    Route,
    SiteEntrance,
    entrance_ports,
    front_address,
    site_address,
    translation,
)
from homeport.node.network import SiteNetwork, remove_namespace
from homeport.node.tcp_diagnostics import TcpDiagnostics

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's")

SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, peer = listener.accept()
    connection.sendall(f"{sys.argv[1]} {peer[0]}".encode())
    connection.close()
"""
ECHO = """
import socket, sys, threading
def serve(connection):
    connection.sendall(sys.argv[1].encode())
    while connection.recv(100):
        connection.sendall(sys.argv[1].encode())
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""
KEEP = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as connection:
    print(connection.recv(100).decode(), flush=True)
    for _ in sys.stdin:
        connection.sendall(b"?")
        print(connection.recv(100).decode(), flush=True)
"""
VISIT = """
import socket, sys
for _ in range(int(sys.argv[3])):
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3) as connection:
        print(connection.recv(100).decode())
"""


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Path]:
    mount_point = tmp_path / "front"
    make_front(mount_point)
    yield mount_point
    asyncio.run(remove_namespace(mount_point))


def started(namespace: Path, name: str, program: str = SERVER) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        ["nsenter", f"--net={namespace}", "python3", "-c", program, name], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, int(process.stdout.readline())


def visit(namespace: Path, address: str, port: int, times: int = 1) -> subprocess.CompletedProcess[str]:
    line = ["nsenter", f"--net={namespace}", "python3", "-c", VISIT, address, str(port), str(times)]
    return subprocess.run(line, capture_output=True, text=True, timeout=30)


def keep(namespace: Path, address: str, port: int) -> tuple[subprocess.Popen[str], str]:
    """Open a connection that stays; give who answers."""
    line = ["nsenter", f"--net={namespace}", "python3", "-c", KEEP, address, str(port)]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


def echo(kept: subprocess.Popen[str]) -> str:
    assert kept.stdin
    assert kept.stdout
    kept.stdin.write("?\n")
    kept.stdin.flush()
    return kept.stdout.readline().strip()


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
        if process.stdin:
            process.stdin.close()


def test_connections_go_in_turn_to_the_ports_that_are_led_to_and_seem_to_be_local(
    tmp_path: Path, front: Path
) -> None:
    async def main() -> None:
        network = SiteNetwork(tmp_path / "site")
        await network.up()
        entrance = SiteEntrance(front, network.mount_point, uid=60_123)
        await entrance.open({})
        (one, first), (two, second) = started(network.mount_point, "one"), started(network.mount_point, "two")
        try:
            refused = await asyncio.to_thread(visit, front, entrance.address, 2000)
            assert refused.returncode != 0
            await entrance.lead(2000, [first, second])
            both = await asyncio.to_thread(visit, front, entrance.address, 2000, 4)
            assert sorted(both.stdout.split("\n")[:4]) == [
                "one 127.0.0.1",
                "one 127.0.0.1",
                "two 127.0.0.1",
                "two 127.0.0.1",
            ]
            await entrance.lead(2000, [second])
            last = await asyncio.to_thread(visit, front, entrance.address, 2000, 2)
            assert last.stdout == "two 127.0.0.1\ntwo 127.0.0.1\n"
            inside = TcpDiagnostics(network.mount_point)
            ports = {found.port for found in inside.listeners() if found.on_loopback}
            inside.close()
            assert {first, second} <= ports
            seen = FrontConnections(front)
            assert seen.count() == {}
            seen.close()
        finally:
            end(one, two)
            await network.down()

    asyncio.run(main())


def test_a_site_opens_no_connection_towards_the_front(tmp_path: Path, front: Path) -> None:
    async def main() -> None:
        network = SiteNetwork(tmp_path / "site")
        await network.up()
        entrance = SiteEntrance(front, network.mount_point, uid=60_124)
        await entrance.open({})
        line = ["nsenter", f"--net={front}", "python3", "-c", SERVER.replace("127.0.0.1", "0.0.0.0"), "front"]
        server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout
            port = int(server.stdout.readline())
            reached = await asyncio.to_thread(visit, network.mount_point, front_address(60_124), port)
            assert reached.returncode != 0
        finally:
            end(server)
            await network.down()

    asyncio.run(main())


def test_an_entrance_can_be_opened_again_in_a_network_made_anew(tmp_path: Path, front: Path) -> None:
    async def main() -> None:
        for age in range(3):
            network = SiteNetwork(tmp_path / "site")
            await network.up()
            entrance = SiteEntrance(front, network.mount_point, uid=60_125)
            await entrance.open({})
            server, port = started(network.mount_point, str(age))
            await entrance.lead(2000, [port])
            answer = await asyncio.to_thread(visit, front, entrance.address, 2000)
            end(server)
            await network.down()
            assert answer.stdout == f"{age} 127.0.0.1\n"

    asyncio.run(main())


def test_sites_have_addresses_and_pools_ports_of_their_own() -> None:
    addresses = {site_address(uid) for uid in range(60_000, 70_000)}
    ports = entrance_ports(["http-00000001", "http-0000ea61", "http-ffffffff"])

    assert len(addresses) == 10_000
    assert all(address.startswith("100.") for address in addresses)
    assert len(set(ports.values())) == 3
    assert all(1024 <= port <= 65_535 for port in ports.values())


def test_checksums_do_not_change_with_the_addresses() -> None:
    def words(address: str) -> int:
        one, two, three, four = (int(part) for part in address.split("."))
        return (one << 8 | two) + (three << 8 | four)

    for uid in range(60_000, 70_000):
        front = front_address(uid)
        assert front.startswith("198.18.")
        assert (words(front) + words(site_address(uid)) - 2 * words("127.0.0.1")) % 0xFFFF == 0


def test_rules_are_written_anew_as_a_whole() -> None:
    text = translation(60_001, {2000: Route((30_000, 30_001)), 2001: Route(()), 2002: Route((5,))})

    assert "numgen inc mod 2" in text
    assert "tcp dport 2002 meta mark set 1 tcp dport set 5 " in text
    assert "{ 30000 : 2000, 30001 : 2000, 5 : 2002 }" in text
    assert text.index("flush chain ip homeport entrance") < text.index("dport 2000")


def test_what_is_not_written_down_belongs_to_the_port_that_was_alone() -> None:
    alone = Route(()).followed_by([1], [])
    replaced = alone.followed_by([2], [1])
    three = replaced.followed_by([2, 3], [1])
    last = three.followed_by([3], [])

    assert alone == Route((1,))
    assert replaced == Route((2,), (1,), first=1)
    assert three == Route((2, 3), (1,), first=1)
    assert last == Route((3,))
    assert Route(()).followed_by([4, 5], [5]) == Route((4, 5))


def test_connections_go_on_while_new_ones_are_led_elsewhere(tmp_path: Path, front: Path) -> None:
    async def main() -> None:
        network = SiteNetwork(tmp_path / "site")
        await network.up()
        entrance = SiteEntrance(front, network.mount_point, uid=60_126)
        await entrance.open({})
        ports, servers = [], []
        for name in ("one", "two", "three"):
            server, port = started(network.mount_point, name, ECHO)
            servers.append(server)
            ports.append(port)
        one, two, three = ports
        opened = []
        try:
            for to, ending in (
                ([one], []),
                ([one, two], []),
                ([one, two], []),
                ([two], [one]),
                ([three], [one, two]),
                ([two, three], [one]),
                ([], [one, two, three]),
            ):
                await entrance.lead(2000, to, ending)
                if to:
                    kept, name = await asyncio.to_thread(keep, front, entrance.address, 2000)
                    opened.append((kept, name))
                else:
                    refused = await asyncio.to_thread(visit, front, entrance.address, 2000)
                    assert refused.returncode != 0
                assert [await asyncio.to_thread(echo, kept) for kept, _ in opened] == [
                    name for _, name in opened
                ]
            assert opened[0][1] == "one"
            assert [name for _, name in opened][3:5] == ["two", "three"]
            # The site's own connections stay inside, those to the same ports, too.
            own = await asyncio.to_thread(visit, network.mount_point, "127.0.0.1", one)
            assert own.stdout == "one\n"
            await entrance.lead(2000, [two], [])
            assert await asyncio.to_thread(echo, opened[3][0]) == "two"
        finally:
            end(*servers, *(kept for kept, _ in opened))
            await network.down()

    asyncio.run(main())
