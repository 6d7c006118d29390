"""A site's network: a way out, and no loopback but its own."""

import asyncio
import json
import socket
import subprocess
from pathlib import Path

from homeport.node.network import SiteNetwork


def inside(mount_point: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["nsenter", f"--net={mount_point}", "python3", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
    )


def connect(host: str, port: int) -> str:
    return f"import socket; socket.create_connection(({host!r}, {port}), 3).close()"


def test_the_machines_loopback_cannot_be_reached_and_its_own_can(tmp_path: Path) -> None:
    async def main() -> tuple[bool, bool, bool]:
        network = SiteNetwork(tmp_path / "net/hello")
        await network.up()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            host = await asyncio.to_thread(inside, network.mount_point, connect("127.0.0.1", port))
            gateway = await asyncio.to_thread(inside, network.mount_point, connect("10.0.2.2", port))
        own = await asyncio.to_thread(
            inside,
            network.mount_point,
            "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), 3)",
        )
        await network.down()
        return host.returncode == 0, gateway.returncode == 0, own.returncode == 0

    assert asyncio.run(main()) == (False, False, True)


def test_two_sites_do_not_share_a_loopback(tmp_path: Path) -> None:
    async def main() -> int:
        first, second = SiteNetwork(tmp_path / "net/first"), SiteNetwork(tmp_path / "net/second")
        await asyncio.gather(first.up(), second.up())
        server = subprocess.Popen(
            ["nsenter", f"--net={first.mount_point}", "python3", "-c", _SERVER],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout
        port = int(await asyncio.to_thread(server.stdout.readline))
        reached = await asyncio.to_thread(inside, second.mount_point, connect("127.0.0.1", port))
        server.kill()
        server.wait()
        server.stdout.close()
        await asyncio.gather(first.down(), second.down())
        return reached.returncode

    assert asyncio.run(main()) != 0


_SERVER = """
import socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
time.sleep(60)
"""


def test_the_way_out_works(tmp_path: Path) -> None:
    """The machine's own non-loopback address stands for the outside here."""
    address = _own_address()

    async def main() -> bool:
        network = SiteNetwork(tmp_path / "net/hello")
        await network.up()
        with socket.create_server((address, 0)) as listener:
            done = await asyncio.to_thread(
                inside, network.mount_point, connect(address, listener.getsockname()[1])
            )
        await network.down()
        return done.returncode == 0

    assert asyncio.run(main())


def test_nothing_is_left_when_it_is_down(tmp_path: Path) -> None:
    async def main() -> None:
        network = SiteNetwork(tmp_path / "net/hello")
        await network.up()
        await network.down()
        await network.down()

    asyncio.run(main())

    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert list((tmp_path / "net").iterdir()) == []


def test_what_was_set_up_stays_while_the_network_rests_and_the_way_out_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        network = SiteNetwork(tmp_path / "net/hello")
        await network.up()
        subprocess.run(
            ["nsenter", f"--net={network.mount_point}", "ip", "link", "add", "mark", "type", "veth"],
            check=True,
        )
        assert "tap0" in links(network)
        await network.rest()
        assert "mark" in links(network)
        assert "tap0" not in links(network)
        await network.up()
        assert {"mark", "tap0"} <= links(network)
        assert network.age == 1
        await network.down()
        assert not network.is_up

    asyncio.run(main())

    assert list((tmp_path / "net").iterdir()) == []


def links(network: SiteNetwork) -> set[str]:
    line = ["nsenter", f"--net={network.mount_point}", "ip", "-json", "link"]
    done = subprocess.run(line, capture_output=True, check=True)
    return {link["ifname"] for link in json.loads(done.stdout)}


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    return address
