"""Running from a package at an address (`WEBSITE_RUN_FROM_PACKAGE=https://…`, Kudu reference §3.6).

App Service fetches the package whenever the application starts. Here the agent asks for it when the site starts, is
restarted or gets other settings; meanwhile, and when the package cannot be had, the site serves what it has.
"""

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Conflict
from homeport.scm.deployments.archive import UnsafePackage
from homeport.scm.deployments.deployer import Deployer, PackageFailed, PushRequest
from homeport.scm.deployments.fetching import is_package_address
from homeport.scm.deployments.lock import DEPLOYING, DeploymentLock, LockHeld
from homeport.scm.deployments.runs import DeploymentRuns
from homeport.scm.deployments.site_packages import SitePackages, package_setting
from homeport.scm.http.answers import homeport_error, nothing, plain
from homeport.scm.settings.stack import SettingsProviders

_PATIENCE_SECONDS = 600.0


class RemotePackageEndpoint:
    """Fetches the package that the site runs from."""

    def __init__(
        self,
        deployer: Deployer,
        *,
        packages: SitePackages,
        lock: DeploymentLock,
        runs: DeploymentRuns,
        providers: SettingsProviders,
    ) -> None:
        self._deployer = deployer
        self._packages = packages
        self._lock = lock
        self._runs = runs
        self._providers = providers

    async def refresh(self, _request: Request) -> Response:
        """POST: fetch the package, and deploy it where it is not the one that is served; answer when it is done."""
        if not is_package_address(self._address()):
            raise Conflict("The site does not run from a package at an address (WEBSITE_RUN_FROM_PACKAGE).")
        try:
            held = await self._lock.wait(DEPLOYING, seconds=_PATIENCE_SECONDS)
        except LockHeld as error:
            return plain(409, error.message)
        try:
            await asyncio.shield(self._runs.start(partial(self._fetch, self._address()), held))
        except UnsafePackage as error:
            return homeport_error(error)
        except PackageFailed as error:
            return plain(503 if self._deployer.stopped else 502, str(error))
        if self._deployer.stopped:  # the process is being replaced, and its record may say that it failed
            return plain(503, "The SCM site was stopped meanwhile.")
        return nothing(200)

    def _address(self) -> str:
        return package_setting(self._providers.current())

    def _fetch(self, address: str) -> None:
        self._deployer.clear_staging()
        push = PushRequest(
            package=self._deployer.new_package(),
            address=address,
            deployer="RunFromPackage",
            message="The package at WEBSITE_RUN_FROM_PACKAGE",
            unless=self._packages.current(),
        )
        self._deployer.run(push, self._deployer.begin(push))
