"""Where nginx asks whether a request may reach an SCM site (Kudu reference §11.1).

A session of a browser, a script's token, or publishing credentials open it. All of it is decided here, before anything
that runs as the site sees the request; nginx takes cookie and credentials away before it passes the request on.
"""

import asyncio
import base64
import hmac
from collections.abc import Callable, Mapping

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.control.access_tokens import AccessTokens, csrf_token
from homeport.control.browser_requests import (
    changes_something,
    comes_from_elsewhere,
    comes_from_own_page,
    is_for_application,
    is_navigation,
    is_upgrade,
    sessions_of,
    sign_in_address,
)
from homeport.control.lockout import Lockout
from homeport.control.sign_in import SignIn
from homeport.control.store.publishing import PublishingAccess
from homeport.model.secret import Secret

_log = structlog.get_logger(__name__)
_NOBODYS = Secret("no site has this password")
_BASIC_PROMPT = "/basicauth"

FindAccess = Callable[[str], PublishingAccess | None]
"""Takes a site's name; gives what opens it, None for no such site. May block."""


def authorize_api(find: FindAccess, lockout: Lockout, tokens: AccessTokens) -> Starlette:
    """Return the application for nginx: `/authorize`, and the pages to sign in and out.

    `/authorize` answers 200 with `X-Homeport-User` and, for a session, `X-Homeport-CSRF`; 401 with a challenge, or for
    a person's browser with `X-Homeport-Sign-In`; 403 for a forged request and while an address is blocked.
    """
    door = _Door(find, lockout, tokens)

    async def authorize(request: Request) -> Response:
        return await door.authorize(request.headers)

    async def check(site: str, client: str, user: str, password: str) -> str | None:
        return await door.password_user(site, client, user, password)

    pages = SignIn(check, lockout, tokens)
    return Starlette(
        routes=[
            Route("/authorize", authorize, methods=["GET", "POST", "HEAD"]),
            Route("/sign-in", pages.show, methods=["GET"]),
            Route("/sign-in", pages.sign_in, methods=["POST"]),
            Route("/sign-out", pages.ask_to_leave, methods=["GET"]),
            Route("/sign-out", pages.sign_out, methods=["POST"]),
        ]
    )


class _Door:
    """Decides on one request from its headers."""

    def __init__(self, find: FindAccess, lockout: Lockout, tokens: AccessTokens) -> None:
        self._find = find
        self._lockout = lockout
        self._tokens = tokens

    async def authorize(self, headers: Mapping[str, str]) -> Response:
        site, client = headers.get("x-homeport-site", "").lower(), headers.get("x-real-ip", "")
        if changes_something(headers) and comes_from_elsewhere(headers):
            _log.info("scm.forged", site=site, client=client)
            return Response(status_code=403)
        given = headers.get("authorization", "")
        if not given:
            return await self._by_session(site, headers)
        scheme, _, secret = given.partition(" ")
        if scheme.lower() == "bearer":
            return await self._by_token(site, client, Secret(secret.strip()))
        return await self._by_password(site, client, given)

    async def _by_session(self, site: str, headers: Mapping[str, str]) -> Response:
        """Let a session in, a locked-out address's too: whoever has one has shown the password before."""
        for secret in sessions_of(headers):
            access = await asyncio.to_thread(self._find, site)
            user = await self._tokens.session_user(site, secret, access)
            if user is not None:
                return _with_session(headers, user, csrf_token(secret))
        return _unknown(headers)

    async def _by_token(self, site: str, client: str, secret: Secret) -> Response:
        name = await self._tokens.token_name(site, secret)
        if name is not None:
            return Response(headers={"X-Homeport-User": name})
        if self._lockout.blocked(site, client):
            return Response(status_code=403)
        self._lockout.failed(site, client)
        _log.info("scm.refused", site=site, client=client)
        return _challenge()

    async def _by_password(self, site: str, client: str, header: str) -> Response:
        if self._lockout.blocked(site, client):
            return Response(status_code=403)
        given = basic_credentials(header)
        user = await self.password_user(site, client, *given) if given else None
        return _challenge() if user is None else Response(headers={"X-Homeport-User": user})

    async def password_user(self, site: str, client: str, user: str, password: str) -> str | None:
        """Return who the credentials belong to, None for nobody or where they are switched off; failures count."""
        access = await asyncio.to_thread(self._find, site)
        name = matching_user(site, user, password, access)
        if name is None or access is None:
            self._lockout.failed(site, client)
            _log.info("scm.refused", site=site, client=client)
            return None
        if not access.scm:
            _log.info("scm.basic-auth-is-off", site=site, client=client)
            return None
        self._lockout.succeeded(site, client)
        return name


def _with_session(headers: Mapping[str, str], user: str, token: str) -> Response:
    """Let a session do what its own pages may do: a change shows their token, a WebSocket their origin.

    Pages of an extension's application do not know the token, which opens what is the SCM site's own: their origin does.
    """
    if changes_something(headers):
        shown = hmac.compare_digest(headers.get("x-csrf-token", "").encode(), token.encode())
        shown = shown or is_upgrade(headers) or is_for_application(headers)
        if not comes_from_own_page(headers) or not shown:
            return Response(status_code=403)
    return Response(headers={"X-Homeport-User": user, "X-Homeport-CSRF": token})


def _unknown(headers: Mapping[str, str]) -> Response:
    target = headers.get("x-original-uri", "/")
    if not is_navigation(headers) or target.split("?")[0].lower() == _BASIC_PROMPT:
        return _challenge()
    return Response(status_code=401, headers={"X-Homeport-Sign-In": sign_in_address(target)})


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
