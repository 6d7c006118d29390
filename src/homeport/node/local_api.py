"""What our own servers on Unix sockets share: one table of errors, progress as lines, and how such a process runs.

The agent and the control plane both serve this way, so the clients of both read errors by the same table.
"""

import asyncio
import contextlib
import json
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import structlog
import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, ExceptionHandler

from homeport.model.errors import HomeportError
from homeport.node.error_status import error_to_json, status_of

_log = structlog.get_logger(__name__)
Progress = Callable[[str, float], None]
"""Takes what is being done and how much of the whole is done, from 0 to 1."""


def exception_handlers(log_file: str) -> dict[type[Exception], ExceptionHandler]:
    """Return Starlette's handlers: our errors by the table, the unexpected as an id that `log_file` explains."""

    async def refused(_: Request, error: Exception) -> Response:
        if not isinstance(error, HomeportError):
            raise error
        return JSONResponse(error_to_json(error), status_code=status_of(error))

    async def no_such_route(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        message = f"{request.method} {request.url.path} is not part of this API."
        return JSONResponse({"error": {"code": "NotFound", "message": message}}, status_code=status)

    async def failed(request: Request, error: Exception) -> Response:
        return JSONResponse(internal_error(error, where=request.url.path, log_file=log_file), status_code=500)

    return {HomeportError: refused, HTTPException: no_such_route, Exception: failed}


def internal_error(error: Exception, *, where: str, log_file: str) -> dict[str, object]:
    """Log the unexpected under an id; the client sees only the id."""
    incident = secrets.token_hex(4)
    _log.error("request.failed", incident=incident, where=where, exc_info=error)
    message = f"Something unexpected went wrong; {log_file} tells more under {incident}."
    return {"error": {"code": "InternalError", "message": message}}


async def progress_lines(
    work: Callable[[Progress], Awaitable[object]],
    *,
    tasks: asyncio.TaskGroup,
    log_file: str,
) -> AsyncIterator[bytes]:
    """Run `work` in `tasks`; yield one JSON line for each step it reports, then its result or its error.

    The work goes on when the client leaves. It may report from any thread.
    """
    steps: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def progress(text: str, fraction: float) -> None:
        loop.call_soon_threadsafe(steps.put_nowait, {"progress": text, "fraction": round(fraction, 3)})

    async def run() -> None:
        try:
            last: dict[str, object] = {"result": await work(progress)}
        except HomeportError as error:
            last = error_to_json(error)
        except Exception as error:  # noqa: BLE001 — a request's boundary: it outlives the request, so it ends here
            last = internal_error(error, where="work", log_file=log_file)
        loop.call_soon(steps.put_nowait, last)

    tasks.create_task(run())
    while "progress" in (step := await steps.get()):
        yield json.dumps(step).encode() + b"\n"
    yield json.dumps(step).encode() + b"\n"


def configure_log() -> None:
    """Log to standard error, which the supervisor sends to a file: one event a line, with named fields."""
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(bool_as_flag=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM, SIGINT or the end of the supervisor sets."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def ended() -> None:
        loop.remove_reader(sys.stdin.fileno())
        stop.set()

    loop.add_reader(sys.stdin.fileno(), ended)  # nothing is ever written there: readable means the end
    return stop


async def serve(application: ASGIApp, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve an application on a bound socket until `stop` is set."""
    server = _Server(uvicorn.Config(application, log_config=None, access_log=False, lifespan="off"))
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
