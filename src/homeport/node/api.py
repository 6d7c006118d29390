"""The agent's API on its Unix socket: the control plane's way to it, open to root (or our own user) alone."""

import asyncio
import dataclasses

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from homeport.node.agent import Agent
from homeport.node.agent_values import desired_site_from_json
from homeport.node.local_api import exception_handlers, progress_lines
from homeport.node.name_records import find_records

_LOG = "logs/agent.log"


def agent_api(agent: Agent, tasks: asyncio.TaskGroup) -> Starlette:
    """Return the application; installations run in `tasks`, so they go on when the client leaves."""

    async def put_desired(request: Request) -> Response:
        body = await request.json()
        sites = [desired_site_from_json(value) for value in body["sites"]]
        problems = await agent.apply(int(body["revision"]), sites)
        return JSONResponse({"revision": agent.revision, "problems": problems})

    async def get_observed(request: Request) -> Response:
        options, only = agent.options, request.query_params.get("site")
        sites = [name for name in agent.sites if only in (None, name)]
        return JSONResponse(
            {
                "revision": agent.revision,
                "sites": {name: agent.sites[name].observed() for name in sites},
                "addresses": {
                    "http": f"http://{options.domain}:{options.http_port}",
                    "https": f"https://{options.domain}:{options.https_port}",
                },
                "missing": list(agent.missing),
            }
        )

    async def get_metrics(_: Request) -> Response:
        processes = {
            name: sum(len(pool.status().processes) for pool in site.pools)
            for name, site in agent.sites.items()
        }
        text = await asyncio.to_thread(agent.metrics.exposition, processes)
        return JSONResponse({"counts": agent.metrics.as_json(), "text": text})

    async def get_name(request: Request) -> Response:
        return JSONResponse(dataclasses.asdict(await find_records(request.path_params["host"])))

    async def post_restart(request: Request) -> Response:
        site = agent.site(request.path_params["site"])
        site.replan("the site was restarted")
        site.recycle("the site was restarted")
        site.refresh_package()
        return Response(status_code=202)

    async def get_gallery(_: Request) -> Response:
        entries = await asyncio.to_thread(agent.gallery.entries)
        return JSONResponse({"entries": [dataclasses.asdict(entry) for entry in entries]})

    async def post_runtime(request: Request) -> Response:
        body = await request.json()
        site = request.path_params["site"]
        agent.site(site)
        lines = progress_lines(
            lambda progress: agent.install(
                site, body["id"], policy=body.get("policy", "same-minor"), progress=progress
            ),
            tasks=tasks,
            log_file=_LOG,
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
            Route("/names/{host}", get_name),
            Route("/metrics", get_metrics),
            Route("/sites/{site}", delete_site, methods=["DELETE"]),
            Route("/sites/{site}/restart", post_restart, methods=["POST"]),
            Route("/sites/{site}/runtimes", post_runtime, methods=["POST"]),
            Route("/sites/{site}/runtimes/{folder}", delete_runtime, methods=["DELETE"]),
        ],
        exception_handlers=exception_handlers(_LOG),
    )
