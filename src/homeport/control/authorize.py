"""Where nginx asks whether a request may reach an SCM site (Kudu reference §11.1): the publishing credentials."""

import asyncio
import base64
from collections.abc import Callable

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.control.lockout import Lockout
from homeport.control.store.publishing import PublishingAccess
from homeport.model.secret import Secret

_log = structlog.get_logger(__name__)
_NOBODYS = Secret("no site has this password")

FindAccess = Callable[[str], PublishingAccess | None]
"""Takes a site's name; gives what opens it, None for no such site. May block."""


def authorize_api(find: FindAccess, lockout: Lockout) -> Starlette:
    """Return the application: 200 with `X-Homeport-User`, 401 with a challenge, 403 while an address is blocked."""

    async def authorize(request: Request) -> Response:
        site = request.headers.get("x-homeport-site", "").lower()
        client = request.headers.get("x-real-ip", "")
        if lockout.blocked(site, client):
            return Response(status_code=403)
        given = basic_credentials(request.headers.get("authorization", ""))
        if given is None:
            return _challenge()
        user, password = given
        access = await asyncio.to_thread(find, site)
        name = matching_user(site, user, password, access)
        if name is None or access is None:
            lockout.failed(site, client)
            _log.info("scm.refused", site=site, client=client)
            return _challenge()
        if not access.scm:
            _log.info("scm.basic-auth-is-off", site=site, client=client)
            return _challenge()
        lockout.succeeded(site, client)
        return Response(headers={"X-Homeport-User": name})

    return Starlette(routes=[Route("/authorize", authorize, methods=["GET", "POST", "HEAD"])])


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Read user and password of an `Authorization: Basic` header; None for anything else."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:  # not base64, not ASCII, not UTF-8
        return None
    return (user, password) if colon else None


def matching_user(site: str, user: str, password: str, access: PublishingAccess | None) -> str | None:
    r"""Return who the credentials belong to, None for nobody: the site's own user or the user of all sites.

    Each may be written as `user` or `site\user`. It takes the same time whatever is wrong.
    """
    own = (access.user, access.password) if access else ("", _NOBODYS)
    shared = (access.shared if access else None) or ("", _NOBODYS)
    plain = user.lower().removeprefix(f"{site}\\")
    found = [
        name
        for name, secret in (own, shared)
        if secret.matches(password) & Secret(name.lower()).matches(plain) and name
    ]
    return found[0] if access is not None and found else None


def _challenge() -> Response:
    return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="site"'})
