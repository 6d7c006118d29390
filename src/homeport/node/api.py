"""The agent's API on its Unix socket: the control plane's way to it, open to root (or our own user) alone."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from homeport.model.errors import (
    Conflict,
    Forbidden,
    HomeportError,
    Invalid,
    NotFound,
    Unavailable,
    Unsupported,
)
from homeport.node.agent import Agent
from homeport.node.agent_values import desired_site_from_json

_log = structlog.get_logger(__name__)
_STATUS: dict[type[HomeportError], int] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Unsupported: 501,
    Unavailable: 503,
}


def agent_api(agent: Agent) -> Starlette:
    """Return the application."""

    async def put_desired(request: Request) -> Response:
        body = await request.json()
        sites = [desired_site_from_json(value) for value in body["sites"]]
        problems = await agent.apply(int(body["revision"]), sites)
        return JSONResponse({"revision": agent.revision, "problems": problems})

    async def get_observed(_: Request) -> Response:
        options = agent.options
        return JSONResponse(
            {
                "revision": agent.revision,
                "sites": {name: site.observed() for name, site in agent.sites.items()},
                "addresses": {
                    "http": f"http://{options.domain}:{options.http_port}",
                    "https": f"https://{options.domain}:{options.https_port}",
                },
                "missing": list(agent.missing),
            }
        )

    async def post_restart(request: Request) -> Response:
        agent.site(request.path_params["site"]).recycle("the site was restarted")
        return Response(status_code=202)

    async def get_gallery(_: Request) -> Response:
        entries = await asyncio.to_thread(agent.gallery.entries)
        return JSONResponse({"entries": [dataclasses.asdict(entry) for entry in entries]})

    async def post_runtime(request: Request) -> Response:
        body = await request.json()
        site = request.path_params["site"]
        agent.site(site)
        lines = _progress_lines(
            lambda progress: agent.install(
                site, body["id"], policy=body.get("policy", "same-minor"), progress=progress
            )
        )
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def delete_runtime(request: Request) -> Response:
        await agent.uninstall(request.path_params["site"], request.path_params["folder"])
        return Response(status_code=204)

    async def delete_site(request: Request) -> Response:
        await agent.delete_home(request.path_params["site"])
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/desired", put_desired, methods=["PUT"]),
            Route("/observed", get_observed),
            Route("/gallery", get_gallery),
            Route("/sites/{site}", delete_site, methods=["DELETE"]),
            Route("/sites/{site}/restart", post_restart, methods=["POST"]),
            Route("/sites/{site}/runtimes", post_runtime, methods=["POST"]),
            Route("/sites/{site}/runtimes/{folder}", delete_runtime, methods=["DELETE"]),
        ],
        exception_handlers={HomeportError: _refused, Exception: _failed},
    )


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, HomeportError):
        raise error
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse(_error_to_json(error), status_code=status)


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("request.failed", path=request.url.path, exc_info=error)
    return JSONResponse({"error": {"code": "InternalError", "message": "See agent.log."}}, status_code=500)


def _error_to_json(error: HomeportError) -> dict[str, object]:
    return {"error": {"code": error.code, "message": error.message}}


async def _progress_lines(
    work: Callable[[Callable[[str, float], None]], Awaitable[object]],
) -> AsyncIterator[bytes]:
    """Run `work` and yield one JSON line for each step it reports, then its result or its error."""
    steps: asyncio.Queue[dict[str, object] | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def progress(text: str, fraction: float) -> None:
        loop.call_soon_threadsafe(steps.put_nowait, {"progress": text, "fraction": round(fraction, 3)})

    async def run() -> dict[str, object]:
        try:
            return {"result": await work(progress)}
        except HomeportError as error:
            return _error_to_json(error)
        finally:
            loop.call_soon(steps.put_nowait, None)

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        while (step := await steps.get()) is not None:
            yield json.dumps(step).encode() + b"\n"
        yield json.dumps(await running).encode() + b"\n"
