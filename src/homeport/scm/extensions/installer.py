"""Bringing extensions into the site and out of it: Pythons by the agent, packages by this process."""

import asyncio
import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from homeport.model.errors import Conflict, HomeportError, Invalid, NotFound, Unavailable
from homeport.runtimes.ids import parse_extension_id
from homeport.scm.agent_channel import AgentChannel
from homeport.scm.deployments.archive import bounds_from
from homeport.scm.deployments.fetching import is_package_address
from homeport.scm.extensions.feeds import Feed, Offer, download
from homeport.scm.extensions.info import ExtensionInfo, python_info
from homeport.scm.extensions.installed import Installed
from homeport.scm.extensions.nuspec import package_id
from homeport.scm.extensions.packages import ExtensionFolders, Origin
from homeport.scm.extensions.versions import PackageVersion
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders

_PACKAGE_FILE = re.compile(
    r"(?P<id>.+?)\.(?P<version>\d+(?:\.\d+){1,3}(?:-[0-9A-Za-z.-]+)?)\.nupkg", re.IGNORECASE
)
_FEED = "SCM_SITEEXTENSIONS_FEED_URL"
_MOST_SAID = 2000


class Installer:
    """Installs and removes the extensions of one site."""

    def __init__(
        self,
        options: ScmOptions,
        *,
        channel: AgentChannel,
        providers: SettingsProviders,
        folders: ExtensionFolders,
        installed: Installed,
    ) -> None:
        self._options = options
        self._channel = channel
        self._providers = providers
        self._folders = folders
        self._installed = installed

    async def offers(
        self, text: str | None, *, feed_url: str | None, prerelease: bool
    ) -> list[ExtensionInfo]:
        """Return what can be had: the Pythons of this machine and, where one is set, the packages of the feed."""
        found = [
            python_info(str(entry["id"]), str(entry["version"]))
            for entry in await self._channel.ask("gallery")
        ]
        feed = self._feed(feed_url)
        if feed is not None:
            found += await asyncio.to_thread(partial(feed.search, text or "", prerelease=prerelease))
        return [info for info in found if info.matches(text)]

    async def offer(self, identity: str, *, version: str | None, feed_url: str | None) -> ExtensionInfo:
        """Return one of them. Raises `NotFound`."""
        if is_python(identity):
            found = await self._channel.ask("resolve", id=identity)
            return python_info(str(found["id"]), str(found["version"]), note=str(found.get("note") or ""))
        return (await self._find(identity, version=version, feed_url=feed_url)).info

    async def newest(self, info: ExtensionInfo) -> str | None:
        """Return the newest version that can be had of an installed extension; None where that cannot be told."""
        try:
            return (await self.offer(info.id, version=None, feed_url=info.feed_url)).version
        except HomeportError:
            return None

    async def install(self, identity: str, asked: Mapping[str, object], *, origin: str) -> bool:
        """Install or update; False when there was nothing to do.

        `asked` is the body of the call, `origin` the SCM site's address. Raises what it is refused with.
        """
        if str(asked.get("type") or "Gallery").casefold() not in {"gallery", "0"}:
            raise Invalid(
                "Extensions of type WebRoot are not supported: deploy the content to the site instead."
            )
        address = asked.get("packageUri")
        if not address and is_python(identity):
            return await self._install_python(identity, origin=origin)
        arguments = _text(asked.get("installer_command_line_params"))
        if address:
            return await self._install_address(identity, str(address), arguments, origin=origin)
        feed_url = _text(asked.get("feed_url"))
        offer = await self._find(identity, version=_text(asked.get("version")), feed_url=feed_url)
        source = Origin(feed_url=feed_url or self._feed_setting(), arguments=arguments)
        return await self._install_package(
            offer.info.id, offer.download, offer.info.version, source, origin=origin
        )

    async def upload(self, identity: str, package: Path) -> None:
        """Install a package that was uploaded; `package` lies in a folder of `ExtensionFolders.aside`."""
        with self._folders.locked(package_id(identity)):
            await asyncio.to_thread(self._place, package, identity, Origin())
        await self._configure()

    async def remove(self, identity: str) -> None:
        """Remove an installed extension, or what is left of a Python whose folder is gone. Raises `NotFound`."""
        if is_python(identity):
            await self._channel.ask("uninstall", id=identity, seconds=None)
            return
        with self._folders.locked(identity):
            await asyncio.to_thread(partial(self._folders.remove, identity, run=self._run_script))
        await self._configure()

    async def _configure(self) -> None:
        """Have the site's configuration read anew; an agent that is away does that when it is back."""
        try:
            await self._channel.ask("follow")
        except Unavailable as error:
            print(  # noqa: T201 — the SCM site's log
                f"The extension counts from the next start of the site on: {error.message}", file=sys.stderr
            )

    async def _install_python(self, identity: str, *, origin: str) -> bool:
        resolved = await self._channel.ask("resolve", id=identity)
        before = await asyncio.to_thread(partial(self._installed.find, identity, origin=origin))
        if before is not None and before.version == resolved["version"]:
            return False
        await self._channel.ask("install", id=identity, seconds=None)
        return True

    async def _install_address(
        self, identity: str, address: str, arguments: str | None, *, origin: str
    ) -> bool:
        match = _PACKAGE_FILE.fullmatch(address.partition("?")[0].rpartition("/")[2])
        if not is_package_address(address) or match is None or match["id"].casefold() != identity.casefold():
            raise Invalid(f"'packageUri' must be an address that ends in /{identity}.<version>.nupkg.")
        source = Origin(package_uri=address, arguments=arguments)
        return await self._install_package(match["id"], address, match["version"], source, origin=origin)

    async def _install_package(
        self, identity: str, address: str, version: str, source: Origin, *, origin: str
    ) -> bool:
        before = await asyncio.to_thread(partial(self._installed.find, identity, origin=origin))
        if before is not None and _is_current(before, version, source.arguments):
            return False
        with self._folders.locked(identity):
            await asyncio.to_thread(self._fetch_and_place, identity, address, source)
        await self._configure()
        return True

    def _fetch_and_place(self, identity: str, address: str, source: Origin) -> None:
        with self._folders.aside() as aside:
            package = aside / "package.nupkg"
            download(address, package)
            self._place(package, identity, source)

    def _place(self, package: Path, identity: str, source: Origin) -> None:
        bounds = bounds_from(self._providers.current())
        self._folders.install(package, identity, origin=source, bounds=bounds, run=self._run_script)

    def _run_script(self, folder: Path, name: str, arguments: str) -> None:
        """Run a script of an extension in its folder; it ends with 0 or the operation fails."""
        from homeport.scm.commands.execution import execute

        settings = self._providers.current()
        result = asyncio.run(
            execute(
                f"{name} {arguments}".strip(),
                directory=str(folder),
                environment={**self._options.environment, **settings.all()},
                idle_timeout_seconds=settings.number("SCM_COMMAND_IDLE_TIMEOUT", default=60) or 60,
                layout=self._options.layout,
            )
        )
        if result.exit_code:
            said = f"{result.output or ''}{result.error or ''}".strip()[-_MOST_SAID:]
            raise Conflict(
                f"{name} ended with exit code {result.exit_code}. {said}".strip(), code="ScriptFailed"
            )

    async def _find(self, identity: str, *, version: str | None, feed_url: str | None) -> Offer:
        package_id(identity)
        feed = self._feed(feed_url)
        if feed is None:
            raise NotFound(
                f"Could not find '{identity}': the gallery has Pythons, such as python3117x64. "
                f"Set {_FEED} to a NuGet feed for other extensions."
            )
        return await asyncio.to_thread(partial(feed.find, identity, version=version, prerelease=False))

    def _feed(self, feed_url: str | None) -> Feed | None:
        address = feed_url or self._feed_setting()
        return Feed(address) if address else None

    def _feed_setting(self) -> str | None:
        return self._providers.current().get(_FEED)


def is_python(identity: str) -> bool:
    """Tell whether an id has the form of a Python's, old ones included."""
    try:
        parse_extension_id(identity)
    except Invalid:
        return False
    except HomeportError:
        return True
    return True


def _is_current(before: ExtensionInfo, version: str, arguments: str | None) -> bool:
    same = (before.installer_command_line_params or "") == (arguments or "")
    return same and PackageVersion(version) <= PackageVersion(before.version)


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
