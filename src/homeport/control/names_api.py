"""Names and certificates in the API behind the command line."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from homeport.control.names import Names
from homeport.control.request_body import json_object, text_of


def names_routes(names: Names) -> list[Route]:
    """Return the routes below a site."""

    async def get_hostnames(request: Request) -> Response:
        return JSONResponse(await names.hostnames(request.path_params["name"]))

    async def put_hostname(request: Request) -> Response:
        body = await json_object(request)
        made = await names.add_hostname(
            request.path_params["name"], request.path_params["host"], verified=body.get("unverified") is True
        )
        return JSONResponse(made)

    async def delete_hostname(request: Request) -> Response:
        await names.remove_hostname(request.path_params["name"], request.path_params["host"])
        return Response(status_code=204)

    async def post_certificate(request: Request) -> Response:
        body = await json_object(request)
        made = await names.add_certificate(
            request.path_params["name"], text_of(body, "certificate"), text_of(body, "key")
        )
        return JSONResponse(made, status_code=201)

    async def delete_certificate(request: Request) -> Response:
        await names.remove_certificate(request.path_params["name"], request.path_params["thumbprint"])
        return Response(status_code=204)

    return [
        Route("/sites/{name}/hostnames", get_hostnames, methods=["GET"]),
        Route("/sites/{name}/hostnames/{host}", put_hostname, methods=["PUT"]),
        Route("/sites/{name}/hostnames/{host}", delete_hostname, methods=["DELETE"]),
        Route("/sites/{name}/certificates", post_certificate, methods=["POST"]),
        Route("/sites/{name}/certificates/{thumbprint}", delete_certificate, methods=["DELETE"]),
    ]
