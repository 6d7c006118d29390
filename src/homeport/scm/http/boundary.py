"""The request boundary: request ids, refusals, unexpected errors, and the count of requests in hand."""

import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from homeport.model.errors import HomeportError
from homeport.scm.http.answers import exception_detail, homeport_error
from homeport.scm.http.bodies import Refused
from homeport.scm.http.forgery import is_forged, refusal
from homeport.scm.http.routes import Route, find

_ID_LENGTH = 128
_POLICY_VIOLATION = 1008

ServeWebSocket = Callable[[WebSocket], Awaitable[None]]


class Activity:
    """What keeps the process alive: requests in hand and deployments that run."""

    def __init__(self) -> None:
        self._running = 0
        self._ended = time.monotonic()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count one piece of work while the block runs."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._ended = time.monotonic()

    def is_busy(self) -> bool:
        """Tell whether anything is going on."""
        return self._running > 0

    def idle_seconds(self) -> float:
        """Return for how long nothing has been going on; 0 while something is."""
        return 0.0 if self.is_busy() else time.monotonic() - self._ended


class Boundary:
    """The ASGI application: one route table between a request and its answer."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        activity: Activity,
        websockets: Mapping[str, ServeWebSocket] | None = None,
    ) -> None:
        self._routes = tuple(routes)
        self._activity = activity
        self._websockets = websockets or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or carry one WebSocket."""
        if scope["type"] == "websocket":
            await self._carry(WebSocket(scope, receive, send))
            return
        assert scope["type"] == "http"
        request = Request(scope, receive)
        identity = _request_id(request)

        async def send_with_id(event: Message) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event["headers"], (b"x-ms-request-id", identity.encode("latin-1"))]
            await send(event)

        with self._activity.busy():
            try:
                response = await self._answer(request)
            except ClientDisconnect:
                return
            await response(scope, receive, send_with_id)

    async def _carry(self, websocket: WebSocket) -> None:
        serve = self._websockets.get(websocket.url.path)
        if serve is None or is_forged(websocket):
            await websocket.close(_POLICY_VIOLATION)  # before it is accepted, this is an answer of 403
            return
        with self._activity.busy():
            await serve(websocket)

    async def _answer(self, request: Request) -> Response:
        try:
            if refused := refusal(request):
                return refused
            return await find(self._routes, request)(request)
        except Refused as refused_body:
            return refused_body.answer
        except HomeportError as error:
            return homeport_error(error)
        except ClientDisconnect:
            raise
        # The boundary: whatever a handler did not foresee becomes one 500 and a traceback in the site's log.
        except Exception as error:  # noqa: BLE001
            traceback.print_exc(file=sys.stderr)
            return exception_detail(500, error)


def _request_id(request: Request) -> str:
    for name in ("x-arr-log-id", "x-ms-request-id"):
        if value := request.headers.get(name):
            return value[:_ID_LENGTH]
    return str(uuid.uuid4())
