"""`python -m homeport.control …`: the control plane's process, a child of the supervisor."""

import argparse
import asyncio
import contextlib
import os
import pwd
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette

from homeport.control.agent_client import AgentClient
from homeport.control.api import control_api
from homeport.control.authorize import authorize_api
from homeport.control.delivery import Delivery
from homeport.control.lockout import Lockout
from homeport.control.options import ControlOptions
from homeport.control.secrets_at_rest import open_secret_box
from homeport.control.service import ControlService
from homeport.control.store.database import open_database
from homeport.control.store.sites import SiteStore
from homeport.node.listening import private_listener

_WEB_USER = "www-data"


def main() -> None:
    """Run until SIGTERM or until the supervisor is gone (standard input ends)."""
    os.umask(0o077)
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(bool_as_flag=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    asyncio.run(_run(_options()))


async def _run(options: ControlOptions) -> None:
    engine = open_database(options.state)
    store = SiteStore(engine, open_secret_box(options.state / "key"))
    agent = AgentClient(options.agent_socket)
    delivery = Delivery(store, agent, options)
    service = ControlService(store, agent, delivery, options)
    stop = _stop_event()
    try:
        with private_listener(options.auth_socket) as auth, private_listener(options.socket) as control:
            _open_to_nginx(options.auth_socket)
            async with asyncio.TaskGroup() as tasks:
                background = tasks.create_task(_in_background(delivery, service, stop, control))
                authorize = authorize_api(store.publishing_credentials, Lockout(time.monotonic))
                await _serve(authorize, auth, stop)
                background.cancel()
    finally:
        await agent.close()
        store.close()


async def _in_background(
    delivery: Delivery, service: ControlService, stop: asyncio.Event, control: socket.socket
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(delivery.run())
        await _serve(control_api(service, tasks), control, stop)


async def _serve(application: Starlette, listener: socket.socket, stop: asyncio.Event) -> None:
    config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off")
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]))
        await stop.wait()
        server.should_exit = server.force_exit = True
        await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to us."""
        yield


def _stop_event() -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def ended() -> None:
        loop.remove_reader(sys.stdin.fileno())
        stop.set()

    loop.add_reader(sys.stdin.fileno(), ended)  # nothing is ever written there: readable means the end
    return stop


def _open_to_nginx(path: Path) -> None:
    """Let nginx's workers ask; not root, they run as our own user."""
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            os.chown(path, 0, pwd.getpwnam(_WEB_USER).pw_gid)
    path.chmod(0o660)


def _options() -> ControlOptions:
    parser = argparse.ArgumentParser(prog="homeport.control")
    for name in ("data", "agent-socket", "socket", "auth-socket"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--domain", default="localhost")
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--https-port", type=int, default=8443)
    return ControlOptions(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
