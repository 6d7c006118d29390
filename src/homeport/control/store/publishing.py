"""Who may publish: the credentials of each site, the switches for basic authentication, the user of all sites."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from homeport.control.secrets_at_rest import SecretBox
from homeport.control.store.schema import PUBLISHING_USERS, SITES
from homeport.model.errors import NotFound
from homeport.model.secret import Secret
from homeport.model.site import FTPS_ONLY, SiteConfig

_SWITCHES = {"scm": SITES.c.basic_auth_scm, "ftp": SITES.c.basic_auth_ftp}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishingAccess:
    """What opens one site by user and password: its own credentials, the user of all sites, and the switches.

    `ftps_state` is as in `model.site.SiteConfig`.
    """

    user: str
    password: Secret
    shared: tuple[str, Secret] | None = None
    scm: bool = True
    ftp: bool = True
    ftps_state: str = FTPS_ONLY


class PublishingStore:
    """Reads and changes who may publish. Every method is one transaction."""

    def __init__(self, engine: sa.Engine, box: SecretBox) -> None:
        self._engine = engine
        self._box = box

    def access(self, site: str) -> PublishingAccess | None:
        """Return what opens a site; None for no such site."""
        query = sa.select(SITES).where(SITES.c.name == site.lower(), SITES.c.deleting.is_(False))
        with self._engine.begin() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            return PublishingAccess(
                user=row["publishing_user"],
                password=self._box.open(row["publishing_password"]),
                shared=self._user(connection),
                scm=row["basic_auth_scm"],
                ftp=row["basic_auth_ftp"],
                ftps_state=SiteConfig(**row["config"]).ftps_state,
            )

    def set_basic_auth(self, site: str, switches: Mapping[str, bool]) -> None:
        """Switch basic authentication of `scm` or `ftp`. Raises `NotFound`."""
        values = {_SWITCHES[name]: allowed for name, allowed in switches.items()}
        mine = (SITES.c.name == site.lower()) & SITES.c.deleting.is_(False)
        with self._engine.begin() as connection:
            if values and connection.execute(SITES.update().where(mine).values(values)).rowcount == 0:
                raise NotFound(f"There is no site '{site}'.", code="SiteNotFound")

    def user(self) -> str | None:
        """Return the name of the user of all sites, None where there is none."""
        with self._engine.begin() as connection:
            found = self._user(connection)
        return None if found is None else found[0]

    def set_user(self, name: str, password: Secret) -> None:
        """Make this the user of all sites, in the place of the one before."""
        with self._engine.begin() as connection:
            connection.execute(PUBLISHING_USERS.delete())
            connection.execute(PUBLISHING_USERS.insert().values(name=name, password=self._box.seal(password)))

    def remove_user(self) -> None:
        """Forget the user of all sites."""
        with self._engine.begin() as connection:
            connection.execute(PUBLISHING_USERS.delete())

    def _user(self, connection: sa.Connection) -> tuple[str, Secret] | None:
        row = connection.execute(sa.select(PUBLISHING_USERS)).mappings().first()
        return None if row is None else (row["name"], self._box.open(row["password"]))
