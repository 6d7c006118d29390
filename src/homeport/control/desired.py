"""From what is stored to what the agent is asked for, and to the site that the API shows."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from homeport.control.options import ControlOptions
from homeport.control.store.sites import StoredSite
from homeport.model.site import FTPS_DISABLED, DesiredSite, SiteCertificate

_DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21, "ftps": 990}


def desired_site(site: StoredSite, options: ControlOptions) -> DesiredSite:
    """Return what the agent is to make true about a site; `<site>.<domain>` is always its first host name."""
    return DesiredSite(
        name=site.name,
        uid=site.uid,
        state=site.state,
        hostnames=(f"{site.name}.{options.domain}", *site.hostnames),
        scm_hostnames=(f"{site.name}.scm.{options.domain}",),
        app_settings={name: value.reveal() for name, value in site.app_settings.items()},
        runtimes=site.runtimes,
        limits=site.limits,
        config=site.config,
        certificates=tuple(
            SiteCertificate(thumbprint=each.thumbprint, names=each.names, pem=each.pem.reveal())
            for each in site.certificates
        ),
    )


def site_to_json(
    site: StoredSite, options: ControlOptions, *, observed: Mapping[str, Any] | None, reveal: bool
) -> dict[str, object]:
    """Return a site as the API shows it; `reveal` adds the publishing password.

    `observed` is the agent's view of the site, None when the agent does not answer or does not have it yet.
    """
    seen = observed or {}
    password = {"password": site.publishing_password.reveal()} if reveal else {}
    return {
        "name": site.name,
        "state": site.state.value,
        "url": address("http", f"{site.name}.{options.domain}", options.http_port),
        "https_url": address("https", f"{site.name}.{options.domain}", options.https_port),
        "scm_url": address("http", f"{site.name}.scm.{options.domain}", options.http_port),
        "ftp_url": None if site.config.ftps_state == FTPS_DISABLED else ftp_url(options),
        "hostnames": [f"{site.name}.{options.domain}", *site.hostnames],
        "publishing": {
            "user": site.publishing_user,
            **password,
            "basic_auth": {"scm": site.basic_auth_scm, "ftp": site.basic_auth_ftp},
        },
        "uid": site.uid,
        "created": site.created,
        "limits": dataclasses.asdict(site.limits),
        "config": dataclasses.asdict(site.config),
        "certificates": [
            {"thumbprint": each.thumbprint, "names": list(each.names)} for each in site.certificates
        ],
        "runtimes": [dataclasses.asdict(runtime) for runtime in site.runtimes],
        "ready": seen.get("ready"),
        "problem": seen.get("problem") or "",
        "findings": list(seen.get("findings", ())),
        "pools": list(seen.get("pools", ())),
        "processes": list(seen.get("processes", ())),
    }


def ftp_url(options: ControlOptions) -> str | None:
    """Return where content is published by FTP, implicit TLS before explicit; None where the platform serves none."""
    return ftps_address(options) or ftp_address(options)


def ftp_address(options: ControlOptions) -> str | None:
    """Return where content is published by FTP with explicit TLS; None where it is not served."""
    return _content_address("ftp", options.ftp_port, options.domain)


def ftps_address(options: ControlOptions) -> str | None:
    """Return where content is published by FTP with implicit TLS; None where it is not served."""
    return _content_address("ftps", options.ftps_port, options.domain)


def _content_address(scheme: str, port: int | None, domain: str) -> str | None:
    return None if port is None else f"{address(scheme, f'ftp.{domain}', port)}/site/wwwroot"


def address(scheme: str, host: str, port: int) -> str:
    """Return an address, without the port that the scheme implies."""
    return f"{scheme}://{host}" + ("" if port == _DEFAULT_PORTS[scheme] else f":{port}")
