"""`/api/zipdeploy` and `/api/publish`: a package in, a deployment out (Kudu reference §3.2, §3.5)."""

import asyncio
import hashlib
import uuid
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
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
from homeport.scm.deployments.onedeploy import (
    PLACEHOLDER_PAGE,
    PLACEHOLDER_TEXT,
    Artifact,
    RefusedArtifact,
    place_artifact,
)
from homeport.scm.deployments.record import DeploymentRecord, record_json
from homeport.scm.deployments.runs import DeploymentRuns
from homeport.scm.deployments.site_packages import package_setting
from homeport.scm.http.address import origin
from homeport.scm.http.answers import exception_detail, homeport_error, json_answer, nothing, plain
from homeport.scm.http.arm import arm_error, envelope, is_arm, site_address
from homeport.scm.http.bodies import discard_body, is_json, json_object, store_body
from homeport.scm.http.query import flag_of, query_flag, query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders
from homeport.windows.paths import map_path

_STORING = "Preparing zip package"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The query of a call; `target` and `artifact` as in `PushRequest`, `address` None for a package in the body."""

    is_async: bool
    clean: bool
    tracking_id: str | None
    deployer: str
    author: str | None
    author_email: str | None
    message: str
    address: str | None = None
    target: Path | None = None
    artifact: str | None = None
    carries: bool = False
    restart: bool = True
    resets: bool = False


class ZipDeployEndpoint:
    """Takes packages and deploys them."""

    def __init__(
        self,
        deployer: Deployer,
        *,
        lock: DeploymentLock,
        options: ScmOptions,
        providers: SettingsProviders,
        runs: DeploymentRuns,
        retry_seconds: int,
    ) -> None:
        self._deployer = deployer
        self._lock = lock
        self._options = options
        self._providers = providers
        self._runs = runs
        self._retry = str(retry_seconds)

    async def push(self, request: Request) -> Response:
        """POST or PUT of `/api/zipdeploy`: store the package, then deploy it."""
        asked = _asked(request)
        if is_json(request):
            address, target = self._named_package(await json_object(request), request)
            asked = replace(asked, address=address, target=target)
        return await self._take(request, asked)

    async def publish(self, request: Request) -> Response:
        """POST or PUT of `/api/publish`: store the artifact, then deploy it to where its type goes."""
        try:
            asked = await self._published(request)
        except RefusedArtifact as error:
            await _discard(request)
            return json_answer(error.message, status=400)
        return await self._take(request, asked)

    async def _published(self, request: Request) -> _Asked:
        """Read what is asked of OneDeploy; its names are the query's or, for ARM, the body's."""
        body: dict[str, Any] = {}
        if is_json(request):
            body = await json_object(request)
            properties = body.get("properties")
            body = properties if is_arm(request) and isinstance(properties, dict) else body
        given = {name.casefold(): value for name, value in body.items()} if is_arm(request) else {}

        def text(name: str) -> str | None:
            value = given.get(name.casefold(), query_text(request, name))
            return None if value is None or value == "" else str(value)

        def flag(name: str, *, default: bool) -> bool:
            return flag_of(text(name), name, default=default)

        try:
            kind, resets = text("type"), flag("reset", default=False)
            clean = None if text("clean") is None else flag("clean", default=False)
            is_async, restart = flag("async", default=False), flag("restart", default=True)
            ignore_stack, tracked = (
                flag("ignoreStack", default=False),
                flag("trackDeploymentProgress", default=False),
            )
            address = _address(body) if is_json(request) and not resets else None
        except Invalid as error:
            raise RefusedArtifact(error.message) from error
        if kind is None and not resets:
            raise RefusedArtifact(
                "Artifact type must be given: type=zip, static, script, lib, startup, war, jar or ear."
            )
        if kind is None:
            artifact = Artifact(folder="site/wwwroot", file=None, clean=True)
        else:
            stack = self._options.environment.get("WEBSITE_STACK", "")
            from_package = kind.lower() == "zip" and package_setting(self._providers.current()) == "1"
            artifact = place_artifact(
                kind,
                path=None if from_package else text("path"),
                clean=clean,
                ignore_stack=ignore_stack,
                stack=stack,
            )
        return _Asked(
            is_async=is_async or is_arm(request),
            clean=artifact.clean,
            tracking_id=str(uuid.uuid4()) if tracked else None,
            deployer="OneDeploy",
            author=None,
            author_email=None,
            message="OneDeploy",
            address=address,
            target=self._options.home / artifact.folder,
            artifact=artifact.file,
            carries=True,
            restart=restart,
            resets=kind is None,
        )

    async def _take(self, request: Request, asked: _Asked) -> Response:
        if is_package_address(package_setting(self._providers.current())):
            await _discard(request)
            return plain(
                409,
                "Run-From-Zip is set to a remote URL using WEBSITE_RUN_FROM_PACKAGE. Deployment is not supported.",
            )
        try:
            held = await self._lock.acquire_soon(_STORING)
        except LockHeld as error:
            await _discard(request)
            return (
                arm_error(409, error.message, code="Conflict")
                if is_arm(request)
                else plain(409, error.message)
            )
        # While the package arrives.
        asyncio.get_running_loop().run_in_executor(None, self._deployer.load_check)
        try:
            await asyncio.to_thread(self._deployer.clear_staging)
            return await self._stored(request, asked, held)
        except BaseException:
            held.release()
            raise

    async def _stored(self, request: Request, asked: _Asked, held: HeldLock) -> Response:
        package = self._deployer.new_package()
        try:
            await self._receive(request, asked, package)
            push = _push(asked, package)
            held.describe(DEPLOYING)
            record = self._deployer.begin(push)
        except OSError as error:
            self._deployer.discard(package)
            held.release()
            return exception_detail(500, error)
        except BaseException:
            self._deployer.discard(package)
            raise
        future = self._runs.start(partial(self._deployer.run, push, record), held)
        if asked.is_async:
            return self._accepted(request, push, record)
        try:
            await asyncio.shield(future)
        except UnsafePackage as error:
            return homeport_error(error)
        except PackageFailed as error:
            return exception_detail(500, error)
        return nothing(200, headers=_tracking(push))

    async def _receive(self, request: Request, asked: _Asked, package: Path) -> None:
        """Store the body; a package that is to be fetched is fetched by the deployment itself."""
        if asked.resets:
            await _discard(request)
            with zipfile.ZipFile(package, "x") as made:
                made.writestr(PLACEHOLDER_PAGE, PLACEHOLDER_TEXT)
        elif asked.address is None:
            with package.open("xb") as file:
                await store_body(request, file)
            await asyncio.to_thread(_check_sum, package, request.headers.get("x-ms-artifact-checksum"))

    def _named_package(self, body: dict[str, Any], request: Request) -> tuple[str, Path | None]:
        if is_arm(request) and isinstance(body.get("properties"), dict):
            body = body["properties"]
        address = _address(body)
        wanted = body.get("targetPath")
        if not wanted:
            return address, None
        home = str(self._options.home)
        target = map_path(str(wanted), self._options.layout, directory=str(self._options.web_root)).required()
        if not Path(target).resolve().is_relative_to(home):
            raise Invalid(f"'targetPath' {wanted} is not below the site's home.")
        return address, Path(target)

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
    tracked = query_flag(request, "trackDeploymentProgress") or query_flag(request, "trackDeploymentId")
    return _Asked(
        is_async=query_flag(request, "isAsync") or is_arm(request),
        clean=query_flag(request, "clean"),
        tracking_id=str(uuid.uuid4()) if tracked else None,
        deployer=query_text(request, "deployer") or "ZipDeploy",
        author=query_text(request, "author"),
        author_email=query_text(request, "authorEmail"),
        message=query_text(request, "message") or "Created via a push deployment",
    )


def _push(asked: _Asked, package: Path) -> PushRequest:
    return PushRequest(
        package=package,
        address=asked.address,
        target=asked.target,
        deployer=asked.deployer,
        author=asked.author,
        author_email=asked.author_email,
        message=asked.message,
        tracking_id=asked.tracking_id,
        clean=asked.clean,
        artifact=asked.artifact,
        carries=asked.carries,
        restart=asked.restart,
    )


async def _discard(request: Request) -> None:
    if not is_json(request):  # that one has been read
        await discard_body(request)


def _address(body: dict[str, Any]) -> str:
    address = body.get("packageUri")
    if not isinstance(address, str) or not is_package_address(address):
        raise Invalid("Value for 'packageUri' is not valid: give an absolute http or https address.")
    return address


def _check_sum(package: Path, expected: str | None) -> None:
    """Compare the package with the SHA-256 that the client says it has; raises `Invalid`."""
    if not expected:
        return
    with package.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.strip().lower():
        raise Invalid(f"The package arrived with the SHA-256 {found}, not {expected}: send it again.")


def _tracking(push: PushRequest) -> dict[str, str]:
    return {"SCM-DEPLOYMENT-ID": push.tracking_id} if push.tracking_id else {}
