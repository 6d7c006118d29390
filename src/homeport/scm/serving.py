"""The SCM process: serves its inherited socket and ends itself when idle, within five seconds when it gets SIGTERM.

SIGUSR2 says that a newer process takes what comes from now on: this one finishes its deployment and its requests.
"""

import asyncio
import contextlib
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn

from homeport.scm.application import Application, build_application
from homeport.scm.http.protocol import HttpProtocol
from homeport.scm.options import ScmOptions

_GRACE_SECONDS = 3
_LAST_RESORT_SECONDS = 4.5
_LOOK_SECONDS = 0.25
_LINGER_SECONDS = 0.1
_LARGEST_PIECE = 8 * 1024 * 1024


def serve(options: ScmOptions, listening: socket.socket) -> None:
    """Serve until the process is idle or gets SIGTERM; returns when every answer is out."""
    _keep_freed_memory()
    asyncio.run(_serve(options, listening))


async def _serve(options: ScmOptions, listening: socket.socket) -> None:
    stopping = asyncio.Event()
    application = build_application(options, stopping=stopping)
    await asyncio.to_thread(application.recover)
    config = uvicorn.Config(
        application.asgi,
        loop="asyncio",
        http=HttpProtocol,
        ws=_websocket_protocol,  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, application=application, stopping=stopping)
    # uvicorn raises a signal again once it is done; here it has served its purpose by then.
    signal.signal(signal.SIGTERM, _passed)
    signal.signal(signal.SIGINT, _passed)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, server.leave)
    watching = asyncio.create_task(_leave_when_idle(server, application, idle_seconds=options.idle_seconds))
    try:
        await server.serve(sockets=[listening])
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        application.deployer.stop()
        await application.runs.settled()


def _keep_freed_memory() -> None:
    """Have the C library keep the memory of freed pieces of bodies for the next ones.

    It gives larger ones back to the kernel at once, until one that was larger still has been freed. Nothing is written
    into this one, so it takes no memory.
    """
    bytes(_LARGEST_PIECE)


class _Server(uvicorn.Server):
    """uvicorn, telling the application at once that the process is asked to end."""

    def __init__(self, config: uvicorn.Config, *, application: Application, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._application = application
        self._stopping = stopping
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def leave(self) -> None:
        """Take nothing new; streams say goodbye, what is in hand is finished."""
        for server in getattr(self, "servers", ()):  # uvicorn makes them as it starts
            server.close()
        self._stopping.set()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end: streams say goodbye, a deployment fails, and a stuck thread does not hold the process."""
        self._application.deployer.stop()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._loop.call_soon_threadsafe(self._ending.set)
        signal.setitimer(signal.ITIMER_REAL, _LAST_RESORT_SECONDS)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what was accepted by then, and end.

        A connection that the kernel still queues waits for the next process; one that was taken out of the queue
        and has not sent its request yet would be lost if it were closed at once.
        """
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LINGER_SECONDS)
        while self._application.activity.is_busy() and not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _LINGER_SECONDS)
        await super().shutdown(sockets)


async def _leave_when_idle(server: uvicorn.Server, application: Application, *, idle_seconds: float) -> None:
    while True:
        left = idle_seconds - application.activity.idle_seconds()
        if left <= 0:
            server.should_exit = True
            return
        await asyncio.sleep(min(max(left, _LOOK_SECONDS), idle_seconds))


def _websocket_protocol(**settings: Any) -> asyncio.Protocol:
    """Make uvicorn's WebSocket protocol; imported when the first one comes, not at every cold start."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    return WebSocketsSansIOProtocol(**settings)


def _passed(_signal: int, _frame: FrameType | None) -> None:
    """Take a signal without effect."""
