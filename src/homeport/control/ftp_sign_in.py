"""Where the FTP front asks who may come in: the same credentials and the same lockout as for the SCM site."""

import asyncio
import re

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from homeport.control.authorize import FindAccess, matching_user
from homeport.control.lockout import Lockout
from homeport.model.errors import Invalid
from homeport.model.site import FTPS_DISABLED, PLAIN_FTP_ALLOWED, site_name

_log = structlog.get_logger(__name__)
_SITE_AND_USER = re.compile(r"(?P<site>[^\\/]+)[\\/](?P<user>.*)", re.DOTALL)


def ftp_routes(find: FindAccess, lockout: Lockout) -> list[Route]:
    """Return the routes for the front; nginx leads nobody to them.

    `POST /ftp/sign-in` takes `user`, `password`, `client` (an address) and `encrypted`; it answers 200 with `site`,
    `user` and `plain_allowed`, 401 for nobody, 403 while the address is blocked. `POST /ftp/plain` takes `user` and
    answers 200 where the site takes FTP without TLS, else 403.
    """

    async def sign_in(request: Request) -> Response:
        given = await request.json()
        site, user = ftp_user(given["user"])
        client = given["client"]
        if lockout.blocked(site, client):
            return Response(status_code=403)
        access = await asyncio.to_thread(find, site)
        name = matching_user(site, user, given["password"], access)
        if name is None or access is None:
            lockout.failed(site, client)
            _log.info("ftp.refused", site=site, client=client)
            return Response(status_code=401)
        plain_allowed = access.ftps_state == PLAIN_FTP_ALLOWED
        if not access.ftp or access.ftps_state == FTPS_DISABLED or not (given["encrypted"] or plain_allowed):
            _log.info("ftp.is-off", site=site, client=client)
            return Response(status_code=401)
        lockout.succeeded(site, client)
        return JSONResponse({"site": site, "user": name, "plain_allowed": plain_allowed})

    async def plain(request: Request) -> Response:
        site, _ = ftp_user((await request.json())["user"])
        access = await asyncio.to_thread(find, site)
        allowed = access is not None and access.ftps_state == PLAIN_FTP_ALLOWED
        return Response(status_code=200 if allowed else 403)

    return [
        Route("/ftp/sign-in", sign_in, methods=["POST"]),
        Route("/ftp/plain", plain, methods=["POST"]),
    ]


def ftp_user(text: str) -> tuple[str, str]:
    r"""Return site and user of `SITE\$SITE`, `SITE/$SITE`, `$SITE`, `SITE\user` (Kudu reference §11.1).

    Both are empty for a text that names no site.
    """
    found = _SITE_AND_USER.fullmatch(text)
    site, user = (found["site"], found["user"]) if found else (text.removeprefix("$"), text)
    if found is None and not text.startswith("$"):
        return "", ""
    try:
        return site_name(site), user
    except Invalid:
        return "", ""
