"""The installed command against a real control plane and a real SCM site; only the agent keeps to memory."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from control.memory_agent import MemoryAgent, serving
from control.running import Control, accepts, eventually, running_control

HOMEPORT = Path(sys.executable).with_name("homeport")


@dataclass
class Keyboard:
    """A person who types commands."""

    data: Path
    home: Path
    control: Control
    agent: MemoryAgent

    def type(
        self, *words: str | Path, status: int = 0, typed: str = "", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command with these words and this input, and expect its exit code."""
        done = subprocess.run(
            [HOMEPORT, *words],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            input=typed,
        )
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: str | Path) -> Any:
        """Run the command with --json and read what it prints."""
        return json.loads(self.type(*words, "--json").stdout)

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "HOMEPORT_DATA": str(self.data), "COLUMNS": "80"}

    @property
    def content(self) -> Path:
        """The content folder of the site `hello`."""
        return self.home / "site/wwwroot"


@pytest.fixture(scope="session")
def stack() -> Iterator[Keyboard]:
    """One platform for all tests: the SCM site of `hello` listens where the platform's port would be."""
    agent = MemoryAgent()
    with (
        tempfile.TemporaryDirectory(prefix="hp-") as name,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        data, port = Path(name), listener.getsockname()[1]
        with serving(agent, data / "agent.sock"):
            eventually(lambda: accepts(data / "agent.sock"))
            with running_control(data, http_port=port) as control, _scm(data, listener):
                location = {"control_socket": str(data / "control.sock"), "pid": os.getpid()}
                (data / "run.json").write_text(json.dumps(location))
                yield Keyboard(data=data, home=data / "home", control=control, agent=agent)


@pytest.fixture
def keyboard(stack: Keyboard) -> Iterator[Keyboard]:
    """The platform without a site."""
    stack.agent.forget()
    yield stack
    stack.agent.forget()
    for site in stack.control.call("GET", "/sites")["sites"]:
        stack.control.call("DELETE", f"/sites/{site['name']}", 204)
    for path in (*stack.content.iterdir(), *(stack.home / "LogFiles").glob("*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def hello(keyboard: Keyboard) -> Keyboard:
    """The platform with the site `hello`."""
    keyboard.control.call("POST", "/sites", 201, name="hello")
    return keyboard


@contextmanager
def _scm(data: Path, listener: socket.socket) -> Iterator[None]:
    for folder in ("home/site/wwwroot", "home/LogFiles", "local/Temp"):
        (data / folder).mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(data / "home"),
        "TMP": str(data / "local/Temp"),
        "LOCAL_EXPANDED": str(data / "local"),
        "WEBSITE_SITE_NAME": "hello",
        "WEBSITE_HOSTNAME": "hello.localhost",
        "WEBSITE_INSTANCE_ID": "0" * 64,
    }
    line = [sys.executable, "-m", "homeport.scm"]
    with subprocess.Popen(line, stdin=listener.fileno(), env=environment) as process:
        yield
        process.terminate()


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty data folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="hp-") as name:
        yield Path(name)
