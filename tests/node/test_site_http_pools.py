"""httpPlatform pools of one site: where all share the machine's network, as for a user who is not root, and where not."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from homeport.node.front import make_front
from homeport.node.log_files import LogFile
from homeport.node.network import SiteNetwork, remove_namespace
from homeport.node.processes import Process, start_process
from homeport.node.site_http_pools import SiteHttpPools, takes_web_sockets
from homeport.node.tenant_files import TenantTree
from homeport.webconfig import ContentFolder, HttpPool

SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["SERVER_PORT"].encode())
HTTPServer(("127.0.0.1", int(os.environ["HTTP_PLATFORM_PORT"])), Handler).serve_forever()
"""
OUTLIVED = """
import os, signal, socket, sys
if os.fork():
    signal.pause()
os.setsid()
with open(sys.argv[1], "w") as file:
    file.write(str(os.getpid()))
listener = socket.create_server(("127.0.0.1", int(os.environ["HTTP_PLATFORM_PORT"])))
signal.pause()
"""
"""A server whose first process ends before the one that listens, which takes connections and never answers."""
VISIT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
connection.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
print("sent", flush=True)
try:
    print(connection.recv(100))
except OSError as error:
    print(type(error).__name__)
"""
POOL = HttpPool(
    id="http-00000001",
    requested="python",
    program=(sys.executable, "-c", SERVER),
    environment_variables=(("SERVER_PORT", "%http_platform_port%"),),
    processes=2,
)


def site_pools(
    home: Path, tasks: asyncio.TaskGroup, *, network: SiteNetwork | None = None, front: Path | None = None
) -> SiteHttpPools:
    tree = TenantTree(home)
    inside = () if network is None else ("nsenter", f"--net={network.mount_point}")

    async def launch(
        program: tuple[str, ...],
        *,
        runtime: str | None,
        content: ContentFolder,
        variables: Mapping[str, str],
        output: int,
    ) -> Process:
        return start_process((*inside, *program), environment=variables, output=output)

    async def stacks(_process: Process) -> str:
        return ""

    return SiteHttpPools(
        60_001,
        network=network,
        front=front or home / "none",
        activator=home / "none",
        tree=tree,
        launch=launch,
        stacks=stacks,
        open_log=lambda path: LogFile(tree, path, owner=None),
        spawn=tasks.create_task,
    )


def test_a_pool_without_a_network_of_its_own_listens_on_one_of_its_fixed_ports(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            pools = site_pools(tmp_path, tasks)
            pools.bring([POOL], reason="it is new")
            servers = pools.entrances([POOL]).servers[POOL.id]
            await pools.pool(POOL.id).ready()
            answers = [await _get(server) for server in servers]
            again = pools.entrances([POOL]).servers[POOL.id]
            await pools.close()
        assert len(set(servers)) == 2 * POOL.processes
        assert again == servers
        (text,) = [answer for answer in answers if answer]
        assert f"127.0.0.1:{text}" in servers

    asyncio.run(main())


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's")
def test_a_visitor_of_a_process_that_ends_after_its_parent_is_told_so(tmp_path: Path) -> None:
    child_file = tmp_path / "child"
    pool = HttpPool(
        id=POOL.id,
        requested="python",
        program=(sys.executable, "-c", OUTLIVED, str(child_file)),
        environment_variables=(),
        processes=1,
    )

    async def main() -> str:
        front = tmp_path / "front"
        make_front(front)
        network = SiteNetwork(tmp_path / "site")
        await network.up()
        try:
            async with asyncio.TaskGroup() as tasks:
                pools = site_pools(tmp_path, tasks, network=network, front=front)
                pools.bring([pool], reason="it is new")
                await pools.pool(pool.id).ready()
                (server,) = pools.entrances([pool]).servers[pool.id]
                line = ("nsenter", f"--net={front}", sys.executable, "-c", VISIT, *server.split(":"))
                visitor = await asyncio.create_subprocess_exec(*line, stdout=subprocess.PIPE)
                assert visitor.stdout is not None
                assert await visitor.stdout.readline() == b"sent\n"
                ((parent, _),) = pools.statuses()[0].processes
                os.kill(parent, signal.SIGKILL)
                connect = (
                    "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)",
                )
                line = ("nsenter", f"--net={front}", sys.executable, "-c", *connect, *server.split(":"))
                while not await _exit_code(line):  # until the pool has noticed
                    await asyncio.sleep(0.01)
                os.kill(int(child_file.read_text()), signal.SIGKILL)
                answer = (await visitor.stdout.read()).decode()
                await visitor.wait()
                await pools.close()
                return answer
        finally:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(child_file.read_text()), signal.SIGKILL)
            await network.down()
            await remove_namespace(front)

    assert asyncio.run(main()) == "ConnectionResetError\n"


def test_a_site_takes_web_sockets_unless_its_switch_says_no() -> None:
    assert takes_web_sockets({})
    assert takes_web_sockets({"WEBSITE_WEBSOCKETS_ENABLED": "1"})
    assert not takes_web_sockets({"WEBSITE_WEBSOCKETS_ENABLED": "0"})
    assert not takes_web_sockets({"WEBSITE_WEBSOCKETS_ENABLED": "False"})


async def _get(server: str) -> str:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://{server}/")).text
        except httpx.ConnectError:
            return ""


async def _exit_code(line: tuple[str, ...]) -> int:
    process = await asyncio.create_subprocess_exec(*line, stderr=subprocess.DEVNULL)
    return await process.wait()
