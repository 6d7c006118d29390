"""The control socket of a site against a site that means harm."""

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from homeport.model.errors import Conflict
from homeport.node.local_api import Progress
from homeport.node.site_control import SiteControl
from homeport.scm.agent_channel import AgentChannel


async def echo(request: Mapping[str, Any], progress: Progress) -> object:
    progress("half", 0.5)
    return {"got": request.get("value")}


async def refuse(_request: Mapping[str, Any], _progress: Progress) -> object:
    raise Conflict("Not now.", code="Busy")


async def explode(_request: Mapping[str, Any], _progress: Progress) -> object:
    raise RuntimeError("a secret of the machine")


class Control:
    """A control socket in a running loop."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "c" / "x.sock"
        self.tasks: set[asyncio.Task[None]] = set()
        actions = {"echo": echo, "refuse": refuse, "explode": explode}
        self.control = SiteControl(self.path, owner=None, actions=actions, spawn=self._spawn)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def raw(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer


def test_results_progress_and_refusals_come_through(tmp_path: Path) -> None:
    steps: list[str] = []

    async def scenario() -> object:
        made = Control(tmp_path)
        made.control.open()
        channel = AgentChannel(made.path)
        result = await channel.ask("echo", value="ü", progress=lambda text, _part: steps.append(text))
        with pytest.raises(Conflict, match="Not now") as refused:
            await channel.ask("refuse")
        made.control.close()
        return result, refused.value.code

    assert asyncio.run(scenario()) == ({"got": "ü"}, "Busy")
    assert steps == ["half"]


def test_only_its_owner_can_connect(tmp_path: Path) -> None:
    async def scenario() -> int:
        made = Control(tmp_path)
        made.control.open()
        mode = os.stat(made.path).st_mode & 0o777
        made.control.close()
        return mode

    assert asyncio.run(scenario()) == 0o600
    assert not (tmp_path / "c/x.sock").exists()


@pytest.mark.parametrize(
    "line",
    [b"\n", b"[]\n", b"nonsense\n", b"[" * 60_000 + b"\n", b'{"action": "close"}\n', b'{"action": ["x"]}\n'],
)
def test_nonsense_is_refused_with_a_reason(tmp_path: Path, line: bytes) -> None:
    async def scenario() -> bytes:
        made = Control(tmp_path)
        made.control.open()
        answer = await made.raw(line)
        made.control.close()
        return answer

    assert json.loads(asyncio.run(scenario()))["error"]["status"] == 400


def test_an_unexpected_failure_tells_an_id_and_nothing_of_the_machine(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        made = Control(tmp_path)
        made.control.open()
        answer = await made.raw(b'{"action": "explode"}\n')
        made.control.close()
        return answer

    answer = asyncio.run(scenario())
    assert b"InternalError" in answer
    assert b"secret" not in answer


def test_endless_lines_silence_and_floods_leave_it_answering(tmp_path: Path) -> None:
    async def scenario() -> tuple[bytes, object, int]:
        made = Control(tmp_path)
        made.control.open()
        endless = await made.raw(b"x" * 200_000)
        silent = []
        for _ in range(40):
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            try:
                connection.connect(str(made.path))
            except BlockingIOError:
                connection.close()
                continue
            silent.append(connection)
            await asyncio.sleep(0)
        held = len(made.tasks)
        for connection in silent:
            connection.close()
        while made.tasks:
            await asyncio.sleep(0)
        result = await AgentChannel(made.path).ask("echo", value=1)
        made.control.close()
        return endless, result, held

    endless, result, held = asyncio.run(scenario())
    assert endless == b""
    assert result == {"got": 1}
    assert held <= 16
