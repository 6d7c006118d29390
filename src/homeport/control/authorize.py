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
from homeport.model.secret import Secret

_log = structlog.get_logger(__name__)
_NOBODYS = Secret("no site has this password")

FindCredentials = Callable[[str], tuple[str, Secret] | None]
"""Takes a site's name; gives user and password of its publish profile, None for no such site. May block."""


def authorize_api(find: FindCredentials, lockout: Lockout) -> Starlette:
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
        if not matches(site, user, password, await asyncio.to_thread(find, site)):
            lockout.failed(site, client)
            _log.info("scm.refused", site=site, client=client)
            return _challenge()
        lockout.succeeded(site, client)
        return Response(headers={"X-Homeport-User": f"${site}"})

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


def matches(site: str, user: str, password: str, stored: tuple[str, Secret] | None) -> bool:
    r"""Compare with what is stored, `$site` and `site\$site` as the user, in the same time whatever is wrong."""
    expected_user, expected_password = stored or ("", _NOBODYS)
    right_password = expected_password.matches(password)
    plain = user.lower().removeprefix(f"{site}\\")
    right_user = Secret(expected_user).matches(plain)
    return stored is not None and right_user and right_password


def _challenge() -> Response:
    return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="site"'})
