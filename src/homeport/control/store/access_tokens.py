"""Browser sessions and script tokens of SCM sites. Every method is one transaction."""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from homeport.control.store.schema import ACCESS_TOKENS, SITES
from homeport.control.store.sites import find_site
from homeport.model.errors import Conflict, NotFound

_MOST = 1000


class TokenKind(StrEnum):
    """What a token is for."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105 (a word)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """One token as it is remembered; times in seconds since 1970, `expires` None for one without end."""

    name: str
    proof: str
    created: int
    expires: int | None


class AccessTokenStore:
    """Tokens by the digests of their secrets."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, site: str, kind: TokenKind, token: StoredToken, *, digest: str) -> None:
        """Remember a token, and forget those whose time is over. Raises `NotFound`, `Conflict` for a name in use."""
        with self._engine.begin() as connection:
            site_id = find_site(connection, site)
            mine = (ACCESS_TOKENS.c.site_id == site_id) & (ACCESS_TOKENS.c.kind == kind.value)
            connection.execute(ACCESS_TOKENS.delete().where(ACCESS_TOKENS.c.expires <= token.created))
            if kind is TokenKind.TOKEN and _exists(connection, mine & (ACCESS_TOKENS.c.name == token.name)):
                raise Conflict(
                    f"The site '{site}' has a token '{token.name}' already; remove it or choose another name.",
                    code="TokenExists",
                )
            oldest = (
                sa.select(ACCESS_TOKENS.c.id)
                .where(mine)
                .order_by(ACCESS_TOKENS.c.id.desc())
                .offset(_MOST - 1)
            )
            connection.execute(ACCESS_TOKENS.delete().where(ACCESS_TOKENS.c.id.in_(oldest)))
            connection.execute(
                ACCESS_TOKENS.insert().values(
                    site_id=site_id,
                    kind=kind.value,
                    digest=digest,
                    name=token.name,
                    proof=token.proof,
                    created=token.created,
                    expires=token.expires,
                )
            )

    def find(self, site: str, kind: TokenKind, *, digest: str, now: int) -> StoredToken | None:
        """Return the token with this digest, None where there is none for this site or its time is over."""
        query = _of_site(site, kind).where(ACCESS_TOKENS.c.digest == digest)
        with self._engine.begin() as connection:
            row = connection.execute(query).mappings().first()
        found = _token(row) if row else None
        return found if found and (found.expires is None or now < found.expires) else None

    def list(self, site: str, kind: TokenKind) -> list[StoredToken]:
        """Return the tokens of a site, the oldest first. Raises `NotFound`."""
        with self._engine.begin() as connection:
            find_site(connection, site)
            rows = connection.execute(_of_site(site, kind).order_by(ACCESS_TOKENS.c.id)).mappings()
            return [_token(row) for row in rows]

    def remove(self, site: str, name: str) -> None:
        """Forget a script's token. Raises `NotFound`."""
        with self._engine.begin() as connection:
            mine = ACCESS_TOKENS.c.site_id == find_site(connection, site)
            token = (ACCESS_TOKENS.c.kind == TokenKind.TOKEN.value) & (ACCESS_TOKENS.c.name == name)
            if connection.execute(ACCESS_TOKENS.delete().where(mine & token)).rowcount == 0:
                raise NotFound(f"The site '{site}' has no token '{name}'.", code="TokenNotFound")

    def end(self, digest: str) -> None:
        """Forget a session; one that is not there is no error."""
        with self._engine.begin() as connection:
            connection.execute(ACCESS_TOKENS.delete().where(ACCESS_TOKENS.c.digest == digest))


def _of_site(site: str, kind: TokenKind) -> sa.Select[tuple[object, ...]]:
    return (
        sa.select(ACCESS_TOKENS)
        .join(SITES)
        .where(SITES.c.name == site.lower(), SITES.c.deleting.is_(False), ACCESS_TOKENS.c.kind == kind.value)
    )


def _token(row: sa.RowMapping) -> StoredToken:
    return StoredToken(name=row["name"], proof=row["proof"], created=row["created"], expires=row["expires"])


def _exists(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> bool:
    return connection.execute(sa.select(ACCESS_TOKENS.c.id).where(condition)).first() is not None
