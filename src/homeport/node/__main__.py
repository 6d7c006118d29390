"""`python -m homeport.node OPTIONS`: the agent process, a child of the supervisor."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

import structlog
import uvicorn

from homeport.node.agent import Agent
from homeport.node.api import agent_api
from homeport.node.control_sandbox import CONTROL_UID
from homeport.node.listening import private_listener
from homeport.node.options import PlatformOptions, options_from_json


def main() -> None:
    """Run the agent until SIGTERM or until the supervisor is gone (standard input ends)."""
    os.umask(0o022)
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(bool_as_flag=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    asyncio.run(_run(options_from_json(sys.argv[1])))


async def _run(options: PlatformOptions) -> None:
    agent = Agent(options)
    await agent.run(lambda: _serve(agent))


async def _serve(agent: Agent) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)  # nothing is ever written there: readable means the end
    server = _Server(uvicorn.Config(agent_api(agent), log_config=None, access_log=False, lifespan="off"))
    owner = CONTROL_UID if os.geteuid() == 0 else None
    with private_listener(agent.layout.agent_socket, owner=owner) as listener:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[listener]))
            await stop.wait()
            loop.remove_reader(sys.stdin.fileno())
            server.should_exit = server.force_exit = True
            await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to us."""
        yield


main()
