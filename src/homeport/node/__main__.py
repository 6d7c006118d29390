"""`python -m homeport.node OPTIONS`: the agent process, a child of the supervisor."""

import asyncio
import os
import sys

from homeport.node.activator import activator
from homeport.node.agent import Agent, web_group
from homeport.node.api import agent_api
from homeport.node.control_sandbox import CONTROL_UID
from homeport.node.listening import listening_for_nginx, private_listener
from homeport.node.local_api import configure_log, serve, stop_event
from homeport.node.options import PlatformOptions, options_from_json


def main() -> None:
    """Run the agent until SIGTERM or until the supervisor is gone (standard input ends)."""
    os.umask(0o022)
    configure_log()
    asyncio.run(_run(options_from_json(sys.argv[1])))


async def _run(options: PlatformOptions) -> None:
    agent = Agent(options)
    await agent.run(_serve)


async def _serve(agent: Agent, tasks: asyncio.TaskGroup) -> None:
    owner = CONTROL_UID if os.geteuid() == 0 else None
    stop = stop_event()
    with (
        private_listener(agent.layout.agent_socket, owner=owner) as listener,
        listening_for_nginx(agent.layout.activator_socket, group=web_group()) as activations,
    ):
        async with asyncio.TaskGroup() as servers:
            servers.create_task(serve(activator(agent.served), activations, stop))
            await serve(agent_api(agent, tasks), listener, stop)


main()
