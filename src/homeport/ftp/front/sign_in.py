"""Asking the control plane who may come in. Nothing here writes a password down."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from homeport.model.errors import Unavailable

_ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Somebody whom the control plane lets in: to which site, under which name, and whether TLS may be left out."""

    site: str
    user: str
    plain_allowed: bool


class SignIn:
    """Speaks to the control plane. Every method raises `Unavailable` when it is away."""

    def __init__(self, auth_socket: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(auth_socket))
        self._http = httpx.AsyncClient(
            transport=transport, base_url="http://control", timeout=_ANSWER_SECONDS, trust_env=False
        )

    async def plain_allowed(self, user: str) -> bool:
        """Tell whether the site of this user takes a password without TLS."""
        answer = await self._ask("/ftp/plain", user=user)
        return answer.status_code == httpx.codes.OK

    async def sign_in(self, user: str, password: str, *, client: str, encrypted: bool) -> SignedIn | None:
        """Return who it is; None where user and password do not open a site, or the address has to wait."""
        answer = await self._ask(
            "/ftp/sign-in", user=user, password=password, client=client, encrypted=encrypted
        )
        if answer.status_code != httpx.codes.OK:
            return None
        found = answer.json()
        return SignedIn(site=found["site"], user=found["user"], plain_allowed=found["plain_allowed"])

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, path: str, **question: Any) -> httpx.Response:
        try:
            answer = await self._http.post(path, json=question)
        except httpx.TransportError as error:
            raise Unavailable("The control plane does not answer.") from error
        if answer.is_server_error:
            raise Unavailable("The control plane could not answer.")
        return answer
