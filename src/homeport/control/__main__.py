"""`python -m homeport.control …`: the control plane's process, a child of the supervisor."""

import argparse
import asyncio
import contextlib
import os
import pwd
import socket
import time
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette

from homeport.control.access_tokens import AccessTokens
from homeport.control.agent_client import AgentClient
from homeport.control.api import control_api
from homeport.control.authorize import authorize_api
from homeport.control.delivery import Delivery
from homeport.control.ftp_sign_in import ftp_routes
from homeport.control.lockout import Lockout
from homeport.control.metrics import metrics_routes, scrape_route
from homeport.control.names import Names
from homeport.control.options import ControlOptions
from homeport.control.publishing import Publishing
from homeport.control.secrets_at_rest import open_secret_box
from homeport.control.service import ControlService
from homeport.control.store.access_tokens import AccessTokenStore
from homeport.control.store.database import open_database
from homeport.control.store.publishing import PublishingStore
from homeport.control.store.sites import SiteStore
from homeport.model.secret import Secret
from homeport.node.listening import private_listener
from homeport.node.local_api import configure_log, serve, stop_event

_WEB_USER = "www-data"


def main() -> None:
    """Run until SIGTERM or until the supervisor is gone (standard input ends)."""
    os.umask(0o077)
    configure_log()
    asyncio.run(_run(_options()))


async def _run(options: ControlOptions) -> None:
    engine = open_database(options.state)
    box = open_secret_box(options.state / "key")
    store = SiteStore(engine, box)
    publishing = PublishingStore(engine, box)
    agent = AgentClient(options.agent_socket)
    delivery = Delivery(store, agent, options)
    service = ControlService(store, agent, delivery, options)
    profiles = Publishing(store, publishing, options)
    tokens = AccessTokens(AccessTokenStore(engine), time.time)
    names = Names(store, agent, service, options, verification_id=box.derived("asuid"))
    metrics_token = Secret(box.derived("metrics"))
    stop = stop_event()
    try:
        with private_listener(options.auth_socket) as auth, private_listener(options.socket) as control:
            _open_to_nginx(options.auth_socket)
            async with asyncio.TaskGroup() as tasks:
                background = tasks.create_task(
                    _in_background(
                        delivery,
                        lambda tasks: control_api(
                            service,
                            profiles,
                            names,
                            tokens,
                            tasks,
                            further=metrics_routes(agent, metrics_token),
                        ),
                        stop,
                        control,
                    )
                )
                lockout = Lockout(time.monotonic)
                authorize = authorize_api(publishing.access, lockout, tokens)
                authorize.routes.extend(ftp_routes(publishing.access, lockout))
                authorize.routes.append(scrape_route(agent, metrics_token))
                await serve(authorize, auth, stop)
                background.cancel()
    finally:
        await agent.close()
        store.close()


async def _in_background(
    delivery: Delivery,
    make_api: Callable[[asyncio.TaskGroup], Starlette],
    stop: asyncio.Event,
    control: socket.socket,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(delivery.run())
        await serve(make_api(tasks), control, stop)


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
    for name in ("ftp-port", "ftps-port"):
        parser.add_argument(f"--{name}", type=int, default=None)
    return ControlOptions(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
