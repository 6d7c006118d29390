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
    SiteEntrance,
    entrance_ports,
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


def started(namespace: Path, name: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        ["nsenter", f"--net={namespace}", "python3", "-c", SERVER, name], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, int(process.stdout.readline())


def visit(namespace: Path, address: str, port: int, times: int = 1) -> subprocess.CompletedProcess[str]:
    line = ["nsenter", f"--net={namespace}", "python3", "-c", VISIT, address, str(port), str(times)]
    return subprocess.run(line, capture_output=True, text=True, timeout=30)


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


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
            reached = await asyncio.to_thread(visit, network.mount_point, "100.64.0.1", port)
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


def test_rules_are_written_anew_as_a_whole() -> None:
    text = translation({2000: [30_001, 30_000], 2001: [], 2002: [5]})

    assert "dport 2000 dnat to 127.0.0.1:numgen inc mod 2 map { 0 : 30000, 1 : 30001 }" in text
    assert "dport 2002 dnat to 127.0.0.1:5" in text
    assert "2001" not in text
    assert text.index("flush chain ip homeport entrance") < text.index("dport 2000")
