"""JSON in and out of the agent's API."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from homeport.model.errors import Invalid
from homeport.model.site import (
    DesiredSite,
    InstalledRuntime,
    Limits,
    SiteCertificate,
    SiteConfig,
    SiteState,
    site_name,
)


def desired_site_from_json(value: Mapping[str, Any]) -> DesiredSite:
    """Read one desired site. Raises `Invalid` naming the site and what is wrong with it."""
    try:
        return DesiredSite(
            name=site_name(value["name"]),
            uid=int(value["uid"]),
            state=SiteState(value["state"]),
            hostnames=tuple(value["hostnames"]),
            scm_hostnames=tuple(value["scm_hostnames"]),
            app_settings=dict(value.get("app_settings", {})),
            runtimes=tuple(InstalledRuntime(**runtime) for runtime in value.get("runtimes", ())),
            limits=Limits(**value["limits"]) if value.get("limits") else Limits(),
            config=SiteConfig(**value.get("config", {})),
            certificates=tuple(
                SiteCertificate(**{**each, "names": tuple(each["names"])})
                for each in value.get("certificates", ())
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(
            f"The desired state of site '{value.get('name', '?')}' is not readable: {error!r}."
        ) from error


def desired_site_to_json(site: DesiredSite) -> dict[str, object]:
    """Render a desired site; `desired_site_from_json` reads it back."""
    return {
        **_fields(site),
        "app_settings": dict(site.app_settings),
        "runtimes": [_fields(runtime) for runtime in site.runtimes],
        "limits": _fields(site.limits),
        "config": _fields(site.config),
        "certificates": [_fields(certificate) for certificate in site.certificates],
    }


def _fields(
    value: DesiredSite | InstalledRuntime | Limits | SiteConfig | SiteCertificate,
) -> dict[str, object]:
    """Take a value apart, one level deep: `asdict` copies all levels, far too slowly for every site at once."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
