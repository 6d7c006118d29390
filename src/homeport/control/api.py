"""The API behind the command line, on a Unix socket that only our own user can open."""

import asyncio
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from homeport.control.access_tokens import AccessTokens
from homeport.control.names import Names
from homeport.control.names_api import names_routes
from homeport.control.publishing import Publishing
from homeport.control.request_body import json_object, text_of
from homeport.control.service import ControlService
from homeport.model.errors import NotFound
from homeport.model.site import SiteState
from homeport.node.local_api import Progress, exception_handlers, progress_lines

_LOG = "logs/control.log"
_ACTIONS = {"start": SiteState.RUNNING, "stop": SiteState.STOPPED}


def control_api(
    service: ControlService,
    publishing: Publishing,
    names: Names,
    access: AccessTokens,
    tasks: asyncio.TaskGroup,
    *,
    further: Sequence[Route] = (),
) -> Starlette:
    """Return the application; installations run in `tasks`, so they go on when a client leaves."""

    async def get_status(_: Request) -> Response:
        return JSONResponse(await service.status())

    async def get_sites(_: Request) -> Response:
        return JSONResponse({"sites": await service.sites()})

    async def post_sites(request: Request) -> Response:
        return JSONResponse(
            await service.create(text_of(await json_object(request), "name")), status_code=201
        )

    async def get_site(request: Request) -> Response:
        return JSONResponse(await service.site(request.path_params["name"]))

    async def patch_site(request: Request) -> Response:
        return JSONResponse(await service.change(request.path_params["name"], await json_object(request)))

    async def delete_site(request: Request) -> Response:
        await service.delete(request.path_params["name"])
        return Response(status_code=204)

    async def post_action(request: Request) -> Response:
        name, action = request.path_params["name"], request.path_params["action"]
        if action == "newpassword":
            await publishing.reset_password(name)
            return JSONResponse(await service.site(name))
        if action == "restart":
            return JSONResponse(await service.restart(name))
        if action not in _ACTIONS:
            raise NotFound(f"A site cannot '{action}'; it can start, stop, restart and newpassword.")
        return JSONResponse(await service.set_state(name, _ACTIONS[action]))

    async def get_settings(request: Request) -> Response:
        return JSONResponse(await service.settings(request.path_params["name"]))

    async def put_settings(request: Request) -> Response:
        replace = request.method == "PUT"
        settings = await json_object(request)
        return JSONResponse(
            await service.put_settings(request.path_params["name"], settings, replace=replace)
        )

    async def put_setting(request: Request) -> Response:
        settings = {request.path_params["key"]: (await json_object(request)).get("value")}
        await service.put_settings(request.path_params["name"], settings, replace=False)
        return Response(status_code=204)

    async def delete_setting(request: Request) -> Response:
        await service.delete_setting(request.path_params["name"], request.path_params["key"])
        return Response(status_code=204)

    async def get_profile(request: Request) -> Response:
        form = request.query_params.get("format")
        text = await publishing.profile(request.path_params["name"], form)
        return Response(text, media_type="application/xml", headers={"Cache-Control": "no-store"})

    async def get_basic_auth(request: Request) -> Response:
        return JSONResponse(await publishing.basic_auth(request.path_params["name"]))

    async def patch_basic_auth(request: Request) -> Response:
        changes = await json_object(request)
        return JSONResponse(await publishing.set_basic_auth(request.path_params["name"], changes))

    async def get_publishing_user(_: Request) -> Response:
        return JSONResponse(await publishing.user())

    async def put_publishing_user(request: Request) -> Response:
        body = await json_object(request)
        return JSONResponse(
            await publishing.set_user(body.get("publishingUserName"), body.get("publishingPassword"))
        )

    async def delete_publishing_user(_: Request) -> Response:
        await publishing.remove_user()
        return Response(status_code=204)

    async def get_tokens(request: Request) -> Response:
        return JSONResponse({"tokens": await access.tokens(request.path_params["name"])})

    async def post_tokens(request: Request) -> Response:
        body = await json_object(request)
        made = await access.create_token(request.path_params["name"], body.get("name"), body.get("days"))
        return JSONResponse(made, status_code=201)

    async def delete_token(request: Request) -> Response:
        await access.remove_token(request.path_params["name"], request.path_params["token"])
        return Response(status_code=204)

    async def get_gallery(_: Request) -> Response:
        return JSONResponse({"entries": list(await service.gallery())})

    async def get_extensions(request: Request) -> Response:
        return JSONResponse({"extensions": await service.extensions(request.path_params["name"])})

    async def post_extensions(request: Request) -> Response:
        name, body = request.path_params["name"], await json_object(request)
        extension_id, policy = text_of(body, "id"), text_of(body, "policy", "same-minor")
        await service.extensions(name)  # an unknown site is an ordinary 404

        async def install(progress: Progress) -> object:
            return await service.install(name, extension_id, policy=policy, progress=progress)

        return StreamingResponse(
            progress_lines(install, tasks=tasks, log_file=_LOG), media_type="application/x-ndjson"
        )

    async def delete_extension(request: Request) -> Response:
        return JSONResponse(await service.uninstall(request.path_params["name"], request.path_params["id"]))

    return Starlette(
        routes=[
            Route("/status", get_status),
            Route("/sites", get_sites, methods=["GET"]),
            Route("/sites", post_sites, methods=["POST"]),
            Route("/sites/{name}", get_site, methods=["GET"]),
            Route("/sites/{name}", patch_site, methods=["PATCH"]),
            Route("/sites/{name}", delete_site, methods=["DELETE"]),
            Route("/sites/{name}/settings", get_settings, methods=["GET"]),
            Route("/sites/{name}/settings", put_settings, methods=["PUT", "PATCH"]),
            Route("/sites/{name}/settings/{key:path}", put_setting, methods=["PUT"]),
            Route("/sites/{name}/settings/{key:path}", delete_setting, methods=["DELETE"]),
            Route("/sites/{name}/extensions", get_extensions, methods=["GET"]),
            Route("/sites/{name}/extensions", post_extensions, methods=["POST"]),
            Route("/sites/{name}/extensions/{id}", delete_extension, methods=["DELETE"]),
            Route("/sites/{name}/publish-profile", get_profile, methods=["GET"]),
            Route("/sites/{name}/basic-auth", get_basic_auth, methods=["GET"]),
            Route("/sites/{name}/basic-auth", patch_basic_auth, methods=["PATCH"]),
            Route("/publishing-user", get_publishing_user, methods=["GET"]),
            Route("/publishing-user", put_publishing_user, methods=["PUT"]),
            Route("/publishing-user", delete_publishing_user, methods=["DELETE"]),
            Route("/sites/{name}/tokens", get_tokens, methods=["GET"]),
            Route("/sites/{name}/tokens", post_tokens, methods=["POST"]),
            Route("/sites/{name}/tokens/{token:path}", delete_token, methods=["DELETE"]),
            *names_routes(names),
            *further,
            Route("/sites/{name}/{action}", post_action, methods=["POST"]),
            Route("/gallery", get_gallery),
        ],
        exception_handlers=exception_handlers(_LOG),
    )
