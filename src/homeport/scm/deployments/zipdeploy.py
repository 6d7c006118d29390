"""`/api/zipdeploy`: a package in, a deployment out, at once or in the background (Kudu reference §3.2)."""

import asyncio
import sys
import traceback
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Invalid
from homeport.scm.deployments.archive import UnsafePackage
from homeport.scm.deployments.deployer import Deployer, PackageFailed, PushRequest
from homeport.scm.deployments.fetching import is_package_address
from homeport.scm.deployments.lock import DEPLOYING, DeploymentLock, HeldLock, LockHeld
from homeport.scm.deployments.record import DeploymentRecord, record_json
from homeport.scm.http.address import origin
from homeport.scm.http.answers import exception_detail, homeport_error, json_answer, nothing, plain
from homeport.scm.http.arm import arm_error, envelope, is_arm, site_address
from homeport.scm.http.bodies import discard_body, is_json, json_object, store_body
from homeport.scm.http.boundary import Activity
from homeport.scm.http.query import query_flag, query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders
from homeport.windows.paths import map_path

_STORING = "Preparing zip package"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The query of a call."""

    is_async: bool
    clean: bool
    tracking_id: str | None
    deployer: str
    author: str | None
    author_email: str | None
    message: str


class ZipDeployEndpoint:
    """Takes packages; owns the deployments that run in the background."""

    def __init__(
        self,
        deployer: Deployer,
        *,
        lock: DeploymentLock,
        options: ScmOptions,
        providers: SettingsProviders,
        activity: Activity,
        retry_seconds: int,
    ) -> None:
        self._deployer = deployer
        self._lock = lock
        self._options = options
        self._providers = providers
        self._activity = activity
        self._retry = str(retry_seconds)
        self._running: set[asyncio.Future[None]] = set()

    async def push(self, request: Request) -> Response:
        """POST or PUT: store the package, then deploy it."""
        asked = _asked(request)
        package_setting = self._providers.current().get("WEBSITE_RUN_FROM_PACKAGE") or ""
        if is_package_address(package_setting):
            await discard_body(request)
            return plain(
                409,
                "Run-From-Zip is set to a remote URL using WEBSITE_RUN_FROM_PACKAGE. Deployment is not supported.",
            )
        try:
            held = self._lock.acquire(_STORING)
        except LockHeld as error:
            await discard_body(request)
            return (
                arm_error(409, error.message, code="Conflict")
                if is_arm(request)
                else plain(409, error.message)
            )
        try:
            self._deployer.clear_staging()
            return await self._stored(request, asked, held)
        except BaseException:
            held.release()
            raise

    async def settled(self) -> None:
        """Wait until no deployment runs; how they ended is in their records."""
        if self._running:
            await asyncio.wait(tuple(self._running))

    async def _stored(self, request: Request, asked: _Asked, held: HeldLock) -> Response:
        package = self._deployer.new_package()
        try:
            push = await self._receive(request, asked, package)
            held.describe(DEPLOYING)
            record = self._deployer.begin(push)
        except OSError as error:
            self._deployer.discard(package)
            held.release()
            return exception_detail(500, error)
        except BaseException:
            self._deployer.discard(package)
            raise
        future = self._start(push, record, held)
        if asked.is_async:
            return self._accepted(request, push, record)
        try:
            await asyncio.shield(future)
        except UnsafePackage as error:
            return homeport_error(error)
        except PackageFailed as error:
            return exception_detail(500, error)
        return nothing(200, headers=_tracking(push))

    async def _receive(self, request: Request, asked: _Asked, package: Path) -> PushRequest:
        address, target = None, None
        if is_json(request):
            address, target = self._named_package(await json_object(request), request)
        else:
            with package.open("xb") as file:
                await store_body(request, file)
        return PushRequest(
            package=package,
            address=address,
            target=target,
            deployer=asked.deployer,
            author=asked.author,
            author_email=asked.author_email,
            message=asked.message,
            tracking_id=asked.tracking_id,
            clean=asked.clean,
        )

    def _named_package(self, body: dict[str, Any], request: Request) -> tuple[str, Path | None]:
        if is_arm(request) and isinstance(body.get("properties"), dict):
            body = body["properties"]
        address = body.get("packageUri")
        if not isinstance(address, str) or not is_package_address(address):
            raise Invalid("Value for 'packageUri' is not valid: give an absolute http or https address.")
        wanted = body.get("targetPath")
        if not wanted:
            return address, None
        home = str(self._options.home)
        target = map_path(str(wanted), self._options.layout, directory=str(self._options.web_root)).required()
        if not Path(target).resolve().is_relative_to(home):
            raise Invalid(f"'targetPath' {wanted} is not below the site's home.")
        return address, Path(target)

    def _start(self, push: PushRequest, record: DeploymentRecord, held: HeldLock) -> "asyncio.Future[None]":
        """Deploy in a thread; the lock goes back and the process counts as busy until it is done."""

        def deploy() -> None:
            with held:
                self._deployer.run(push, record)

        future = asyncio.get_running_loop().run_in_executor(None, deploy)
        busy = self._activity.busy()
        busy.__enter__()
        self._running.add(future)

        def done(ended: asyncio.Future[None]) -> None:
            self._running.discard(ended)
            busy.__exit__(None, None, None)
            error = None if ended.cancelled() else ended.exception()
            if error is not None and not isinstance(error, UnsafePackage | PackageFailed):
                traceback.print_exception(error, file=sys.stderr)  # the other two are in the record

        future.add_done_callback(done)
        return future

    def _accepted(self, request: Request, push: PushRequest, record: DeploymentRecord) -> Response:
        when = datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S") + "Z"
        query = urlencode({"deployer": push.deployer, "time": when}, quote_via=quote)
        headers = {"retry-after": self._retry, **_tracking(push)}
        if is_arm(request):
            headers["location"] = f"{site_address(request)}/deployments/latest?api-version=2018-02-01&{query}"
            body = record_json(record, active=False, site=self._options.site, address=None)
            return json_answer(envelope(request, body), status=202, headers=headers)
        headers["location"] = f"{origin(request)}/api/deployments/latest?{query}"
        return nothing(202, headers=headers)


def _asked(request: Request) -> _Asked:
    tracked = query_flag(request, "trackDeploymentProgress")
    return _Asked(
        is_async=query_flag(request, "isAsync") or is_arm(request),
        clean=query_flag(request, "clean"),
        tracking_id=str(uuid.uuid4()) if tracked else None,
        deployer=query_text(request, "deployer") or "ZipDeploy",
        author=query_text(request, "author"),
        author_email=query_text(request, "authorEmail"),
        message=query_text(request, "message") or "Created via a push deployment",
    )


def _tracking(push: PushRequest) -> dict[str, str]:
    return {"SCM-DEPLOYMENT-ID": push.tracking_id} if push.tracking_id else {}
