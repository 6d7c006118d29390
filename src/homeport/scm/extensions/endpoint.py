"""The calls of `/api/extensionfeed` and `/api/siteextensions` (Kudu reference §7.3)."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Conflict, HomeportError, Invalid, NotFound
from homeport.scm.extensions.info import ExtensionInfo
from homeport.scm.extensions.installed import Installed
from homeport.scm.extensions.installer import Installer, is_python
from homeport.scm.extensions.packages import ExtensionFolders
from homeport.scm.extensions.status import (
    CANCELED,
    CREATED,
    FAILED,
    SUCCEEDED,
    OperationStatus,
    read_status,
    write_status,
)
from homeport.scm.http.address import origin
from homeport.scm.http.answers import json_answer, message, nothing
from homeport.scm.http.arm import arm_error, envelope, is_arm, listing
from homeport.scm.http.bodies import is_json, json_object, media_type, store_body
from homeport.scm.http.boundary import Activity
from homeport.scm.http.lenient_json import parse_lenient
from homeport.scm.http.query import query_flag, query_text

_ARM_SECONDS = 15.0
_BODY_BYTES = 1024 * 1024
_RESTART = {"X-MS-SITE-OPERATION": "restart"}
_PACKAGE_TYPES = frozenset({"application/octet-stream", "application/zip", "application/x-zip-compressed"})


class SiteExtensionsEndpoint:
    """Answers for the extensions of one site; owns the installations that run."""

    def __init__(
        self, installer: Installer, *, installed: Installed, folders: ExtensionFolders, activity: Activity
    ) -> None:
        self._installer = installer
        self._installed = installed
        self._folders = folders
        self._activity = activity
        self._running: dict[str, asyncio.Task[bool]] = {}

    async def feed(self, request: Request) -> Response:
        """GET `/api/extensionfeed`: what can be installed."""
        found = await self._installer.offers(
            query_text(request, "filter"),
            feed_url=_feed_url(request),
            prerelease=query_flag(request, "allowPrereleaseVersions"),
        )
        return self._listed(request, [await self._with_local(info, request) for info in found])

    async def feed_item(self, request: Request) -> Response:
        """GET `/api/extensionfeed/{id}`."""
        identity = request.path_params["id"]
        try:
            info = await self._installer.offer(
                identity, version=query_text(request, "version"), feed_url=_feed_url(request)
            )
        except (NotFound, Invalid):
            return _unknown(request, identity)
        return self._one(request, await self._with_local(info, request))

    async def list_installed(self, request: Request) -> Response:
        """GET `/api/siteextensions`: what is installed."""
        text = query_text(request, "filter")
        found = [info for info in await self._all(request) if info.matches(text)]
        if query_flag(request, "checkLatest", default=True):
            found = [await self._with_latest(info) for info in found]
        return self._listed(request, found)

    async def read(self, request: Request) -> Response:
        """GET of one: for ARM also how far its installation is."""
        identity = request.path_params["id"]
        if is_arm(request) and (answer := await self._operation(request, identity)) is not None:
            return answer
        info = await self._find(request, identity)
        if info is None:
            return _unknown(request, identity)
        if query_flag(request, "checkLatest", default=True):
            info = await self._with_latest(info)
        return self._one(request, info)

    async def install(self, request: Request) -> Response:
        """PUT: install or update; the body may be missing, JSON, or the package itself."""
        identity = request.path_params["id"]
        if media_type(request) in _PACKAGE_TYPES:
            return await self._upload(request, identity)
        asked = await _asked(request)
        if asked is None:
            return arm_error(400, "The body is empty: send the extension's properties.", code="BadRequest")
        if identity.casefold() in self._running or self._is_locked(identity):
            return self._refused(request, Conflict(identity))
        task = self._start(identity, asked, origin(request))
        if not is_arm(request):
            try:
                await asyncio.shield(task)
            except HomeportError as error:
                return self._refused(request, error)
            return await self._done(request, identity)
        await asyncio.wait([task], timeout=_ARM_SECONDS)
        if task.done() and (failure := task.exception()) is not None:
            return self._refused(request, failure)
        if task.done() and not task.result():
            return await self._done(request, identity)
        return self._created(request, identity)

    async def remove(self, request: Request) -> Response:
        """DELETE: 200 with `true`, for ARM without a body; 404 where it is not installed."""
        identity = request.path_params["id"]
        info = await self._find(request, identity)
        if info is None and not is_python(identity):
            return _unknown(request, identity)
        if identity.casefold() in self._running:
            return self._refused(request, Conflict(identity))
        try:
            with self._activity.busy():
                await self._installer.remove(info.id if info else identity)
        except NotFound:
            return _unknown(request, identity)
        except HomeportError as error:
            return self._refused(request, error)
        gone = await self._find(request, identity) is None
        if is_arm(request):
            return (
                nothing(200)
                if gone
                else arm_error(400, f"'{identity}' could not be removed.", code="BadRequest")
            )
        return json_answer(gone)

    async def _upload(self, request: Request, identity: str) -> Response:
        try:
            with self._folders.aside() as aside:
                package = aside / "package.nupkg"
                with package.open("xb") as file:
                    await store_body(request, file)
                await self._installer.upload(identity, package)
        except HomeportError as error:
            return self._refused(request, error)
        return await self._done(request, identity)

    def _start(self, identity: str, asked: Mapping[str, Any], address: str) -> "asyncio.Task[bool]":
        """Install in the background: a caller who leaves does not stop it."""
        key = identity.casefold()

        async def work() -> bool:
            with self._activity.busy():
                self._note(identity, OperationStatus(provisioning_state=CREATED, status=201))
                try:
                    changed = await self._installer.install(identity, asked, origin=address)
                except HomeportError as error:
                    self._note(
                        identity,
                        OperationStatus(
                            provisioning_state=FAILED,
                            status=_status_of(error),
                            comment=error.message,
                            operation=None,
                        ),
                    )
                    raise
                operation = "install" if changed else None
                self._note(identity, OperationStatus(provisioning_state=SUCCEEDED, operation=operation))
                return changed

        task = asyncio.create_task(work())
        self._running[key] = task
        task.add_done_callback(
            lambda ended: (self._running.pop(key, None), ended.cancelled() or ended.exception())
        )
        return task

    async def _operation(self, request: Request, identity: str) -> Response | None:
        """Answer ARM's polling while an installation has something to tell; None when there is nothing."""
        status = self._status(identity)
        if identity.casefold() in self._running:
            return self._created(request, identity)
        if status is None:
            return None
        if status.provisioning_state == FAILED:
            return arm_error(status.status, status.comment or "The installation failed.", code=FAILED)
        if status.provisioning_state == CREATED:
            if self._is_locked(identity):
                return self._created(request, identity)
            info = await self._find(request, identity)
            if info is None:
                return self._one(request, _placeholder(identity, CANCELED))
            # The process that began it was replaced before it could note the end.
            status = OperationStatus(provisioning_state=SUCCEEDED)
        if status.operation == "install":
            if self._running:
                return self._created(request, identity)
            self._note(identity, replace(status, operation=None))
            info = await self._find(request, identity)
            return None if info is None else self._one(request, info, headers=_RESTART)
        return None

    async def _done(self, request: Request, identity: str) -> Response:
        info = await self._find(request, identity)
        return (
            _unknown(request, identity) if info is None else self._one(request, await self._with_latest(info))
        )

    async def _all(self, request: Request) -> list[ExtensionInfo]:
        return await asyncio.to_thread(partial(self._installed.all, origin=origin(request)))

    async def _find(self, request: Request, identity: str) -> ExtensionInfo | None:
        return await asyncio.to_thread(partial(self._installed.find, identity, origin=origin(request)))

    async def _with_latest(self, info: ExtensionInfo) -> ExtensionInfo:
        newest = await self._installer.newest(info)
        return replace(info, local_is_latest_version=None if newest is None else newest == info.version)

    async def _with_local(self, info: ExtensionInfo, request: Request) -> ExtensionInfo:
        local = await self._find(request, info.id)
        if local is None:
            return info
        return replace(
            info,
            local_path=local.local_path,
            installed_date_time=local.installed_date_time,
            extension_url=local.extension_url,
            local_is_latest_version=local.version == info.version,
        )

    def _is_locked(self, identity: str) -> bool:
        try:
            return self._folders.is_locked(identity)
        except Invalid:
            return False

    def _status(self, identity: str) -> OperationStatus | None:
        try:
            return read_status(self._folders.record(identity))
        except Invalid:
            return None

    def _note(self, identity: str, status: OperationStatus) -> None:
        try:
            write_status(self._folders.record(identity), status)
        except (Invalid, OSError):
            return  # an id that no folder can have fails by itself, and a full disk says so elsewhere

    def _created(self, request: Request, identity: str) -> Response:
        return self._one(request, _placeholder(identity, CREATED), status=201)

    def _refused(self, request: Request, error: BaseException) -> Response:
        if not isinstance(error, HomeportError):
            raise error
        status = _status_of(error)
        if is_arm(request):
            return arm_error(status, error.message, code=type(error).__name__)
        return message(status, error.message)

    def _one(
        self,
        request: Request,
        info: ExtensionInfo,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        body = info.to_json()
        return json_answer(
            envelope(request, body) if is_arm(request) else body, status=status, headers=headers
        )

    def _listed(self, request: Request, found: list[ExtensionInfo]) -> Response:
        items = [(info.id, info.to_json()) for info in found]
        return json_answer(listing(request, items) if is_arm(request) else [body for _, body in items])


def _placeholder(identity: str, state: str) -> ExtensionInfo:
    return ExtensionInfo(id=identity, title=identity, version="", provisioningState=state)


def _status_of(error: HomeportError) -> int:
    """Every failure of an installation is 400, but for what is not there and what is being installed already."""
    if isinstance(error, NotFound):
        return 404
    return 409 if isinstance(error, Conflict) and error.code in {"Conflict", "InstallRunning"} else 400


def _unknown(request: Request, identity: str) -> Response:
    return arm_error(404, identity, code="NotFound") if is_arm(request) else message(404, identity)


def _feed_url(request: Request) -> str | None:
    return query_text(request, "feedUrl") or query_text(request, "feed_url")


async def _asked(request: Request) -> dict[str, Any] | None:
    """Return the body; an empty one is an empty object, and None through ARM, where it is refused."""
    if is_json(request) and request.headers.get("content-length") != "0":
        body = await json_object(request)
    else:
        data = b""
        async for chunk in request.stream():
            data += chunk
            if len(data) > _BODY_BYTES:
                raise Invalid("The body is neither JSON nor a package.")
        if not data.strip():
            return None if is_arm(request) else {}
        try:
            body = parse_lenient(data.decode("utf-8-sig"))
        except ValueError as error:
            raise Invalid("The body is neither JSON nor a package.") from error
        if not isinstance(body, dict):
            raise Invalid("The body is not a JSON object.")
    inner = body.get("properties")
    return inner if is_arm(request) and isinstance(inner, dict) else body
