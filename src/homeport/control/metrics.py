"""Metrics: for the command line, and for Prometheus at the platform's own name with a token."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from homeport.control.agent_client import AgentClient
from homeport.model.errors import HomeportError
from homeport.model.secret import Secret

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def scrape_route(agent: AgentClient, token: Secret) -> Route:
    """Return the route that nginx passes `/metrics` to: it is for whoever has the token."""

    async def get_metrics(request: Request) -> Response:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.matches(given.strip()):
            return PlainTextResponse(
                "Give the token that `homeport metrics --token` prints.\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        try:
            _, text = await agent.metrics()
        except HomeportError as error:
            return PlainTextResponse(f"{error.message}\n", status_code=503)
        return Response(text, media_type=_TYPE)

    return Route("/metrics", get_metrics, methods=["GET"])


def metrics_routes(agent: AgentClient, token: Secret) -> list[Route]:
    """Return the routes of the API behind the command line."""

    async def get_metrics(_: Request) -> Response:
        counts, _text = await agent.metrics()
        return JSONResponse({"counts": counts})

    async def get_token(_: Request) -> Response:
        return JSONResponse({"token": token.reveal()})

    return [Route("/metrics", get_metrics), Route("/metrics/token", get_token)]
