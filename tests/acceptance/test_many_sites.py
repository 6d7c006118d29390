"""Two hundred sites in one platform."""

import asyncio
import concurrent.futures
import json

import httpx
import pytest

from acceptance.running import Platform, eventually, running_platform
from acceptance.sites import HELLO, web_config

COUNT = 200


@pytest.mark.timeout(600)
def test_two_hundred_sites_are_created_and_served() -> None:
    with running_platform() as platform:
        names = [f"site-{number:03}" for number in range(COUNT)]
        _create(platform, names)
        platform.homeport("extension", "add", names[0], "python3117x64")
        platform.write(names[0], {"web.config": web_config(), "app.py": HELLO})
        eventually(lambda: platform.get(names[0]).text == "hello")

        answers = asyncio.run(_visit(platform, names))

        assert answers[0] == (200, True)
        assert set(answers[1:]) == {(200, False)}
        assert len(platform.json("site", "list")) == COUNT
        assert len(platform.workers()) == 1  # sites that nobody asks for have no process


def _create(platform: Platform, names: list[str]) -> None:
    """Create the sites as the command does, without two hundred starts of a command."""
    control = json.loads((platform.data / "run.json").read_text())["control_socket"]
    transport = httpx.HTTPTransport(uds=control)
    with httpx.Client(transport=transport, base_url="http://control", timeout=120) as client:

        def create(name: str) -> None:
            client.post("/sites", json={"name": name}).raise_for_status()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(create, names))


async def _visit(platform: Platform, names: list[str]) -> list[tuple[int, bool]]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{platform.port}", timeout=60) as client:

        async def one(name: str) -> tuple[int, bool]:
            answer = await client.get("/", headers={"Host": f"{name}.localhost"})
            return answer.status_code, answer.text == "hello"

        return await asyncio.gather(*(one(name) for name in names))
