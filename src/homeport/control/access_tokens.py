"""Secrets that stand in for a password: a browser's session and a script's token.

Only their SHA-256 is stored: 256 random bits need no slow hash. A session is also tied to the password that it was
made with, so a new password ends it.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable

from homeport.control.store.access_tokens import AccessTokenStore, StoredToken, TokenKind
from homeport.control.store.publishing import PublishingAccess
from homeport.model.errors import Invalid
from homeport.model.secret import Secret

SESSION_SECONDS = 12 * 3600
_DAY_SECONDS = 86_400
_MOST_DAYS = 3660
_BYTES = 32
_LONGEST_SECRET = 200
_LONGEST_NAME = 80
_PREFIX = "hpt_"


class AccessTokens:
    """Makes, checks and ends the secrets of SCM sites; `clock` gives seconds since 1970."""

    def __init__(self, store: AccessTokenStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def begin_session(self, site: str, user: str, password: str) -> Secret:
        """Make a session for somebody whose password was right."""
        secret = Secret(secrets.token_urlsafe(_BYTES))
        now = int(self._clock())
        session = StoredToken(
            name=user, proof=_proof(secret, user, password), created=now, expires=now + SESSION_SECONDS
        )
        await asyncio.to_thread(self._store.add, site, TokenKind.SESSION, session, digest=_digest(secret))
        return secret

    async def session_user(self, site: str, secret: Secret, access: PublishingAccess | None) -> str | None:
        """Return whose session it is, None for none: unknown, of another site, over, or of a password since changed."""
        found = await self._find(site, TokenKind.SESSION, secret)
        if found is None or access is None or not access.scm:
            return None
        known = {access.user: access.password} | (
            {access.shared[0]: access.shared[1]} if access.shared else {}
        )
        password = known.get(found.name)
        if password is None:
            return None
        right = hmac.compare_digest(_proof(secret, found.name, password.reveal()), found.proof)
        return found.name if right else None

    async def end_session(self, secret: Secret) -> None:
        """End a session."""
        await asyncio.to_thread(self._store.end, _digest(secret))

    async def token_name(self, site: str, secret: Secret) -> str | None:
        """Return the name of a script's token, None for none."""
        found = await self._find(site, TokenKind.TOKEN, secret)
        return found.name if found else None

    async def create_token(self, site: str, name: object, days: object) -> dict[str, object]:
        """Make a token for scripts; this is the only time that it is shown. Raises `NotFound`, `Invalid`, `Conflict`."""
        if (
            not isinstance(name, str)
            or not 0 < len(name) <= _LONGEST_NAME
            or not name.isascii()
            or not name.isprintable()
        ):
            raise Invalid(f"The name of a token has 1 to {_LONGEST_NAME} printable ASCII characters.")
        if days is not None and (type(days) is not int or not 0 < days <= _MOST_DAYS):
            raise Invalid(
                f"A token is valid for 1 to {_MOST_DAYS} days, or without end when no days are given."
            )
        secret = Secret(_PREFIX + secrets.token_urlsafe(_BYTES))
        now = int(self._clock())
        expires = None if days is None else now + days * _DAY_SECONDS
        token = StoredToken(name=name, proof="", created=now, expires=expires)
        await asyncio.to_thread(self._store.add, site, TokenKind.TOKEN, token, digest=_digest(secret))
        return {"name": name, "created": now, "expires": expires, "token": secret.reveal()}

    async def tokens(self, site: str) -> list[dict[str, object]]:
        """Return the script tokens of a site without their secrets. Raises `NotFound`."""
        found = await asyncio.to_thread(self._store.list, site, TokenKind.TOKEN)
        return [{"name": each.name, "created": each.created, "expires": each.expires} for each in found]

    async def remove_token(self, site: str, name: str) -> None:
        """Make a token worthless. Raises `NotFound`."""
        await asyncio.to_thread(self._store.remove, site, name)

    async def _find(self, site: str, kind: TokenKind, secret: Secret) -> StoredToken | None:
        if not 0 < len(secret.reveal()) <= _LONGEST_SECRET:
            return None
        return await asyncio.to_thread(
            self._store.find, site, kind, digest=_digest(secret), now=int(self._clock())
        )


def csrf_token(session: Secret) -> str:
    """Return what a page of this session sends with a request that changes something."""
    return hmac.new(session.reveal().encode(), b"csrf", hashlib.sha256).hexdigest()


def _digest(secret: Secret) -> str:
    return hashlib.sha256(secret.reveal().encode("utf-8", "replace")).hexdigest()


def _proof(secret: Secret, user: str, password: str) -> str:
    return hmac.new(
        secret.reveal().encode("utf-8", "replace"), f"{user}\0{password}".encode(), hashlib.sha256
    ).hexdigest()
