"""The use cases of the control plane: each changes the store, then has the agent make it true."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import structlog

import homeport
from homeport.control.agent_client import AgentClient, Observed
from homeport.control.delivery import Delivery
from homeport.control.desired import address, ftp_address, ftps_address, site_to_json
from homeport.control.options import ControlOptions
from homeport.control.secrets_at_rest import new_password
from homeport.control.store.sites import SiteStore, StoredSite
from homeport.model.errors import HomeportError, Invalid, NotFound, Unavailable
from homeport.model.site import (
    FTPS_STATES,
    MINIMUM_TLS,
    MOST_HTTP_LOG_MEGABYTES,
    InstalledRuntime,
    Limits,
    SiteConfig,
    SiteState,
    new_site_name,
)
from homeport.node.local_api import Progress

_log = structlog.get_logger(__name__)
_RUNTIME_GONE = "RuntimeNotFound"


class ControlService:
    """Sites, their settings and their Pythons.

    A change is stored first. Where the agent does not take it, `Unavailable` says so and it is delivered later.
    """

    def __init__(
        self, store: SiteStore, agent: AgentClient, delivery: Delivery, options: ControlOptions
    ) -> None:
        self._store = store
        self._agent = agent
        self._delivery = delivery
        self._options = options

    async def status(self) -> dict[str, object]:
        """Return where the platform listens, how many sites it has and what the machine cannot give."""
        sites = await asyncio.to_thread(self._store.sites)
        observed = await self._observed()
        options = self._options
        return {
            "version": homeport_version(),
            "http": address("http", options.domain, options.http_port),
            "https": address("https", options.domain, options.https_port),
            "ftp": ftp_address(options),
            "ftps": ftps_address(options),
            "http_port": options.http_port,
            "https_port": options.https_port,
            "domain": options.domain,
            "data": str(options.data),
            "agent": "running" if observed else "not answering",
            "sites": len(sites),
            "running": sum(site.state is SiteState.RUNNING for site in sites),
            "processes": sum(len(site.get("processes", ())) for site in observed.sites.values())
            if observed
            else 0,
            "missing": list(observed.missing) if observed else [],
        }

    async def sites(self) -> list[dict[str, object]]:
        """Return every site, without passwords."""
        sites, observed = await asyncio.to_thread(self._store.sites), await self._observed()
        return [self._shown(site, observed, reveal=False) for site in sites]

    async def site(self, name: str) -> dict[str, object]:
        """Return one site with its publishing password. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.site, name)
        return self._shown(site, await self._observed(site.name), reveal=True)

    async def create(self, text: str) -> dict[str, object]:
        """Create a site. Raises `Invalid` for its name, `Conflict` when it exists."""
        name = new_site_name(text)
        await asyncio.to_thread(self._store.create, name, password=new_password())
        await self.bring_about(name)
        return await self.site(name)

    async def delete(self, name: str) -> None:
        """Delete a site and its files. Raises `NotFound`, and `Unavailable` when the files are still to be deleted."""
        await asyncio.to_thread(self._store.begin_deletion, name)
        failed = await self._delivery.finish_deletions()
        if name.lower() in failed:
            raise failed[name.lower()]

    async def set_state(self, name: str, state: SiteState) -> dict[str, object]:
        """Start or stop a site. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.set_state, name, state)
        await self.bring_about(site.name)
        return await self.site(name)

    async def restart(self, name: str) -> dict[str, object]:
        """Replace the processes of a site; a stopped one is started. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.site, name)
        if site.state is not SiteState.RUNNING:
            return await self.set_state(name, SiteState.RUNNING)
        await self.bring_about(site.name)
        await self._agent.restart(site.name)
        return await self.site(name)

    async def change(self, name: str, changes: Mapping[str, Any]) -> dict[str, object]:
        """Change `state`, `limits` or `config` of a site. Raises `NotFound`, and `Invalid` for anything else."""
        if unknown := sorted(changes.keys() - {"state", "limits", "config"}):
            raise Invalid(f"'{unknown[0]}' of a site cannot be changed; state, limits and config can.")
        site = await asyncio.to_thread(self._store.site, name)
        state = _state(changes["state"]) if "state" in changes else None
        limits = limits_from_json(site.limits, changes["limits"]) if "limits" in changes else None
        config = config_from_json(site.config, changes["config"]) if "config" in changes else None
        if config is not None:
            await asyncio.to_thread(self._store.set_config, name, config)
        if state is not None:
            await asyncio.to_thread(self._store.set_state, name, state)
        if limits is not None:
            await asyncio.to_thread(self._store.set_limits, name, limits)
        await self.bring_about(site.name)
        return await self.site(name)

    async def settings(self, name: str) -> dict[str, str]:
        """Return the app settings of a site, values included. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.site, name)
        return _revealed(site)

    async def put_settings(self, name: str, settings: Mapping[str, Any], *, replace: bool) -> dict[str, str]:
        """Set app settings; with `replace`, those not given go. Raises `NotFound`, `Invalid`."""
        for key, value in settings.items():
            check_setting(key, value)
        site = await asyncio.to_thread(self._store.put_settings, name, settings, replace=replace)
        await self.bring_about(site.name)
        return _revealed(site)

    async def delete_setting(self, name: str, setting: str) -> None:
        """Remove an app setting. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.delete_setting, name, setting)
        await self.bring_about(site.name)

    async def gallery(self) -> Sequence[Mapping[str, Any]]:
        """Return the Pythons that can be had, newest first."""
        return await self._agent.gallery()

    async def extensions(self, name: str) -> list[dict[str, object]]:
        """Return the Pythons of a site. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.site, name)
        return [dict(asdict(runtime)) for runtime in site.runtimes]

    async def install(
        self, name: str, extension_id: str, *, policy: str, progress: Progress
    ) -> dict[str, object]:
        """Put a Python into a site, or renew it there. Raises `NotFound` and what the agent refuses it with."""
        site = await asyncio.to_thread(self._store.site, name)
        await self._delivery.deliver()
        done = await self._agent.install(site.name, extension_id, policy=policy, progress=progress)
        await asyncio.to_thread(self._store.put_runtime, site.name, done.runtime)
        await self.bring_about(site.name)
        return {**asdict(done.runtime), "note": done.note}

    async def uninstall(self, name: str, extension_id: str) -> dict[str, object]:
        """Remove a Python from a site, with the packages installed into it. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.site, name)
        runtime = find_runtime(site, extension_id)
        await self._delivery.deliver()
        try:
            await self._agent.remove_runtime(site.name, runtime.folder)
        except HomeportError as error:
            # Gone already: a deletion over the console, or one that was cut off before the store knew of it.
            if not isinstance(error, NotFound) and error.code != _RUNTIME_GONE:
                raise
        await asyncio.to_thread(self._store.delete_runtime, site.name, runtime.folder)
        await self.bring_about(site.name)
        return dict(asdict(runtime))

    async def bring_about(self, name: str) -> None:
        """Have the agent make true what is stored of a site. Raises `Unavailable`."""
        problems = await self._delivery.deliver()
        if name in problems:
            raise Unavailable(
                f"The change is stored, but '{name}' cannot be served: {problems[name]}", code="SiteProblem"
            )

    async def _observed(self, site: str | None = None) -> Observed | None:
        try:
            return await self._agent.observed(site)
        except Unavailable as error:
            _log.warning("agent.not-answering", reason=error.message)
            return None

    def _shown(self, site: StoredSite, observed: Observed | None, *, reveal: bool) -> dict[str, object]:
        seen = observed.sites.get(site.name) if observed else {"problem": "The agent does not answer."}
        return site_to_json(site, self._options, observed=seen, reveal=reveal)


def find_runtime(site: StoredSite, extension_id: str) -> InstalledRuntime:
    """Find a Python of a site by its extension's id or its folder, letter case ignored. Raises `NotFound`."""
    wanted = extension_id.casefold()
    for runtime in site.runtimes:
        if wanted in (runtime.id.casefold(), runtime.folder.casefold()):
            return runtime
    has = ", ".join(runtime.id for runtime in site.runtimes) or "none"
    raise NotFound(f"The site '{site.name}' has no '{extension_id}'; it has {has}.", code="ExtensionNotFound")


def check_setting(name: object, value: object) -> None:
    """Check one app setting. Raises `Invalid`."""
    if not isinstance(name, str) or not 0 < len(name) <= 256 or "=" in name or not name.isprintable():
        raise Invalid(
            f"{name!r} cannot be the name of a setting: use 1 to 256 printable characters without '='."
        )
    if not isinstance(value, str) or "\0" in value:
        raise Invalid(f"The value of the setting '{name}' must be a text without NUL characters.")


def limits_from_json(before: Limits, changes: object) -> Limits:
    """Return limits with some changed; null makes one unlimited. Raises `Invalid`."""
    known = asdict(before)
    if not isinstance(changes, dict) or changes.keys() - known.keys():
        raise Invalid(f"Limits are given as an object with any of: {', '.join(known)}.")
    for name, value in changes.items():
        optional = name != "request_body_bytes"
        if not (value is None and optional) and (type(value) is not int or value <= 0):
            raise Invalid(f"The limit {name} must be a whole number above 0{' or null' if optional else ''}.")
    return Limits(**{**known, **changes})


def config_from_json(before: SiteConfig, changes: object) -> SiteConfig:
    """Return a configuration with some of it changed. Raises `Invalid`."""
    known = asdict(before)
    if not isinstance(changes, dict) or changes.keys() - known.keys():
        raise Invalid(f"The configuration is given as an object with any of: {', '.join(known)}.")
    for name, value in changes.items():
        if type(value) is not type(known[name]):
            raise Invalid(f"'{value}' cannot be {name}; it is {known[name]!r} now.")
    made = SiteConfig(**{**known, **changes})
    if made.minimum_tls not in MINIMUM_TLS:
        raise Invalid(f"The minimum TLS version is {' or '.join(MINIMUM_TLS)}, not '{made.minimum_tls}'.")
    if made.ftps_state not in FTPS_STATES:
        raise Invalid(f"The state of FTP is {', '.join(FTPS_STATES)}, not '{made.ftps_state}'.")
    if not 1 <= made.http_log_megabytes <= MOST_HTTP_LOG_MEGABYTES or not 0 <= made.http_log_days <= 99999:
        raise Invalid(
            f"Access logs keep 1 to {MOST_HTTP_LOG_MEGABYTES} megabytes, for 1 to 99999 days or 0 (no end)."
        )
    return made


def homeport_version() -> str:
    """Return the version of the platform."""
    return version(homeport.__name__)


def _state(value: object) -> SiteState:
    try:
        return SiteState(str(value))
    except ValueError:
        raise Invalid(f"'{value}' is not a state of a site: use {' or '.join(SiteState)}.") from None


def _revealed(site: StoredSite) -> dict[str, str]:
    return {name: value.reveal() for name, value in sorted(site.app_settings.items())}
