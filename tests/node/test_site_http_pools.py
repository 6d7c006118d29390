"""httpPlatform pools where processes and nginx share the machine's network, as for a user who is not root."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from homeport.node.log_files import LogFile
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
POOL = HttpPool(
    id="http-00000001",
    requested="python",
    program=(sys.executable, "-c", SERVER),
    environment_variables=(("SERVER_PORT", "%http_platform_port%"),),
    processes=2,
)


def site_pools(home: Path, tasks: asyncio.TaskGroup) -> SiteHttpPools:
    tree = TenantTree(home)

    async def launch(
        program: tuple[str, ...],
        *,
        runtime: str | None,
        content: ContentFolder,
        variables: Mapping[str, str],
        output: int,
    ) -> Process:
        return start_process(program, environment=variables, output=output)

    async def stacks(_process: Process) -> str:
        return ""

    return SiteHttpPools(
        60_001,
        network=None,
        front=home / "none",
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
