"""Where nginx sends a request that found no process: one is started, then the request goes back.

One Unix socket for the node, open to nginx alone. The answer is an X-Accel-Redirect to the location that the request
came from, or the page for its visitor. nginx keeps the client's address in the request line, so any path means this.
"""

import re
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.model.errors import HomeportError
from homeport.node.hosted_site import HostedSite
from homeport.node.nginx.pages import RETRY_AFTER_SECONDS, owner_line, page

_log = structlog.get_logger(__name__)
_LOCATION = re.compile(r"@homeport_[a-z0-9_]+")


def activator(find_site: Callable[[str], HostedSite]) -> ASGIApp:
    """Return the application; `find_site` raises `NotFound`."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Request(scope).headers
        site = headers.get("x-homeport-site", "")
        try:
            response = await _activate(
                find_site(site), headers.get("x-homeport-pool", ""), headers.get("x-homeport-back-to", "")
            )
        except (HomeportError, OSError) as error:
            _log.info("activator.not-started", site=site, reason=str(error))
            text = page("Bad gateway", "The site could not be started.", owner=owner_line(site))
            response = HTMLResponse("".join(str(part) for part in text.parts), status_code=502)
        await response(scope, receive, send)

    return application


async def _activate(site: HostedSite, pool_id: str, back_to: str) -> Response:
    """Wait until the pool has a process. Raises a `HomeportError` when it cannot have one."""
    pool = site.http_pools.pool(pool_id)
    if pool.offline:
        return HTMLResponse(
            site.http_pools.offline_page(pool_id),
            status_code=503,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store"},
        )
    await pool.ready()
    if not _LOCATION.fullmatch(back_to):
        return Response(status_code=502)
    return Response(headers={"X-Accel-Redirect": back_to})
