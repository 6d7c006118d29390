"""A control plane for each test, most of them the same process."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .memory_agent import MemoryAgent, serving
from .running import Control, accepts, eventually, running_control


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder with a short path: a Unix socket's may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hp-") as name:
        yield Path(name)


@pytest.fixture
def agent(request: pytest.FixtureRequest) -> MemoryAgent:
    """The agent of the shared control plane, or a fresh one for a test that starts its own."""
    if "control" in request.fixturenames:
        shared: MemoryAgent = request.getfixturevalue("shared")[1]
        return shared
    return MemoryAgent()


@pytest.fixture(scope="session")
def shared() -> Iterator[tuple[Control, MemoryAgent]]:
    """One control plane for all tests that leave it running."""
    agent = MemoryAgent()
    with tempfile.TemporaryDirectory(prefix="hp-") as name, serving(agent, Path(name) / "agent.sock"):
        eventually(lambda: accepts(Path(name) / "agent.sock"))
        with running_control(Path(name)) as control:
            agent.wait_for_push()
            yield control, agent


@pytest.fixture
def control(shared: tuple[Control, MemoryAgent]) -> Iterator[Control]:
    """The shared control plane without a site."""
    control, agent = shared
    agent.forget()
    yield control
    agent.forget()
    for site in control.call("GET", "/sites")["sites"]:
        control.call("DELETE", f"/sites/{site['name']}", 204)
