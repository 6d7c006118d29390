"""The use cases of publishing: profiles, new passwords, the switches, the user of all sites."""

import asyncio
import re
from collections.abc import Mapping

from homeport.control.desired import address, ftp_url
from homeport.control.options import ControlOptions
from homeport.control.publish_profile import PublishingPlaces, profile_format, render_publish_profile
from homeport.control.secrets_at_rest import new_password
from homeport.control.store.publishing import PublishingStore
from homeport.control.store.sites import SiteStore
from homeport.model.errors import Invalid
from homeport.model.secret import Secret
from homeport.model.site import FTPS_DISABLED

_USER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{1,78}[A-Za-z0-9])")
_LEAST_PASSWORD, _MOST_PASSWORD = 12, 200


class Publishing:
    """Who may publish to the sites, and what their tools are told."""

    def __init__(self, sites: SiteStore, store: PublishingStore, options: ControlOptions) -> None:
        self._sites = sites
        self._store = store
        self._options = options

    async def profile(self, name: str, form: str | None) -> str:
        """Return a site's publish profile, which holds its password. Raises `NotFound`, `Invalid`."""
        wanted = profile_format(form)
        site = await asyncio.to_thread(self._sites.site, name)
        domain, port = self._options.domain, self._options.https_port
        places = PublishingPlaces(
            scm_host=f"{site.name}.scm.{domain}:{port}",
            site_url=address("https", f"{site.name}.{domain}", port),
            ftp_url=None if site.config.ftps_state == FTPS_DISABLED else ftp_url(self._options),
        )
        return render_publish_profile(
            site.name, site.publishing_user, site.publishing_password, places, form=wanted
        )

    async def reset_password(self, name: str) -> None:
        """Give a site another password; profiles handed out before stop working. Raises `NotFound`."""
        await asyncio.to_thread(self._sites.set_password, name, new_password())

    async def basic_auth(self, name: str) -> dict[str, bool]:
        """Return the switches of a site. Raises `NotFound`."""
        site = await asyncio.to_thread(self._sites.site, name)
        return {"scm": site.basic_auth_scm, "ftp": site.basic_auth_ftp}

    async def set_basic_auth(self, name: str, changes: Mapping[str, object]) -> dict[str, bool]:
        """Switch basic authentication of a site. Raises `NotFound`, `Invalid`."""
        switches: dict[str, bool] = {}
        for key, value in changes.items():
            if key not in {"scm", "ftp"} or not isinstance(value, bool):
                raise Invalid("Basic authentication is switched with scm and ftp, each true or false.")
            switches[key] = value
        await asyncio.to_thread(self._store.set_basic_auth, name, switches)
        return await self.basic_auth(name)

    async def user(self) -> dict[str, str | None]:
        """Return the user of all sites, never the password."""
        return {"publishingUserName": await asyncio.to_thread(self._store.user), "publishingPassword": None}

    async def set_user(self, name: object, password: object) -> dict[str, str | None]:
        """Make a user who may publish to every site. Raises `Invalid`."""
        if not isinstance(name, str) or not _USER.fullmatch(name):
            raise Invalid(
                "The name of the publishing user has 3 to 80 letters, digits, dots, hyphens and underscores."
            )
        if not isinstance(password, str) or not _LEAST_PASSWORD <= len(password) <= _MOST_PASSWORD:
            raise Invalid(
                f"The password of the publishing user has {_LEAST_PASSWORD} to {_MOST_PASSWORD} characters."
            )
        await asyncio.to_thread(self._store.set_user, name, Secret(password))
        return await self.user()

    async def remove_user(self) -> None:
        """Forget the user of all sites."""
        await asyncio.to_thread(self._store.remove_user)
