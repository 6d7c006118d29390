"""The calls of `/api/deployments` (Kudu reference §4.2 to §4.5)."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.deployments.lock import DEPLOYING, DeploymentLock, LockHeld
from homeport.scm.deployments.log import Kind, LogEntry, entry_json
from homeport.scm.deployments.record import DeploymentRecord, Status, foreign_record, record_json
from homeport.scm.deployments.redeploy import Redeployer
from homeport.scm.deployments.store import DeploymentStore, is_id
from homeport.scm.http.address import origin, page_address, query_suffix, raw_path
from homeport.scm.http.answers import json_answer, message, nothing, plain
from homeport.scm.http.arm import arm_error, envelope, is_arm, is_arm_agent, listing
from homeport.scm.http.bodies import json_object

_LATEST = "latest"
_LEAST_RETRY_SECONDS = 10
_RETRY_SECONDS = 30


class DeploymentsEndpoint:
    """Answers for the records and logs of a site's deployments. `forget` ends the preview of one that is deleted."""

    def __init__(
        self,
        store: DeploymentStore,
        *,
        redeployer: Redeployer,
        lock: DeploymentLock,
        site: str,
        retry_seconds: int,
        forget: Callable[[str], Awaitable[None]],
    ) -> None:
        self._forget = forget
        self._store = store
        self._redeployer = redeployer
        self._lock = lock
        self._site = site
        self._retry = str(retry_seconds)

    async def list(self, request: Request) -> Response:
        """GET: all records, the newest first, after repair and purge; 304 where nothing changed."""
        await asyncio.to_thread(self._store.tidy)
        tag = _list_tag(request, self._store.changed_ns())
        if tag in (request.headers.get("if-none-match") or ""):
            return nothing(304, headers={"etag": tag})
        records, active = self._store.records(), self._store.active()
        base = f"{origin(request)}/api/deployments"
        items = [self._json(record, active=active, address=f"{base}/{record.id}") for record in records]
        if is_arm(request):
            pairs = [(record.id, item) for record, item in zip(records, items, strict=True)]
            return json_answer(listing(request, pairs), headers={"etag": tag})
        return json_answer(items, headers={"etag": tag})

    async def read(self, request: Request) -> Response:
        """GET of one record; `latest` answers 202 while any deployment is under way."""
        identity = request.path_params["id"]
        await asyncio.to_thread(self._store.tidy)
        if identity == _LATEST:
            return self._latest(request)
        record = self._store.read(identity)
        if record is None:
            return _unknown(request, identity)
        address = f"{origin(request)}/api/deployments/{record.id}"
        body = self._json(record, active=self._store.active(), address=address)
        if not record.complete and (is_arm(request) or is_arm_agent(request)):
            return self._wrapped(request, body, status=202 if is_arm_agent(request) else 200, waiting=True)
        return self._wrapped(request, body)

    async def remove(self, request: Request) -> Response:
        """DELETE of one record; never of the active one. The content stays."""
        identity = request.path_params["id"]
        if self._store.read(identity) is None:
            return _unknown(request, identity)
        if self._store.active() == identity:
            return message(409, f"Deployment '{identity}' is the active one and cannot be deleted.")
        try:
            held = await self._lock.acquire_soon("Deleting deployment")
        except LockHeld as error:
            return plain(409, error.message)
        with held:
            await asyncio.to_thread(self._store.remove, identity)
        await self._forget(identity)
        return nothing(204)

    async def put(self, request: Request) -> Response:
        """PUT of one record: carry it out again, or store a record that somebody else made (§4.4)."""
        identity = request.path_params["id"]
        body = await json_object(request) if _has_body(request) else {}
        if (foreign := foreign_record(identity, body)) is not None:
            return await self._store_foreign(request, foreign, body)
        record = self._store.read(identity)
        commit = await asyncio.to_thread(self._redeployer.commit, identity)
        if commit is None and (record is None or not self._redeployer.can(identity)):
            return _unknown(request, identity)
        try:
            held = await self._lock.acquire_soon(DEPLOYING)
        except LockHeld as error:
            return plain(409, error.message)
        clean = body.get("clean") is True
        if commit is not None:
            await self._redeployer.run_commit(commit, held, user=_user(request), clean=clean)
        elif record is not None:
            await self._redeployer.run(record, held, clean=clean)
        return nothing(200)

    async def put_head(self, request: Request) -> Response:
        """PUT without an id: deploy the newest commit of the configured branch (§4.4)."""
        body = await json_object(request) if _has_body(request) else {}
        commit = await asyncio.to_thread(self._redeployer.head)
        if commit is None:
            return message(500, "The branch that is to be deployed has no commits (deployment_branch).")
        try:
            held = await self._lock.acquire_soon(DEPLOYING)
        except LockHeld as error:
            return plain(409, error.message)
        clean = body.get("clean") is True
        await self._redeployer.run_commit(commit, held, user=_user(request), clean=clean)
        return nothing(200)

    async def _store_foreign(
        self, request: Request, foreign: DeploymentRecord, body: Mapping[str, Any]
    ) -> Response:
        active = body.get("active")
        if active is True and foreign.status is Status.FAILED:
            return message(400, "A failed deployment cannot be the active one.")
        if not is_id(foreign.id):
            return message(400, f"'{foreign.id}' cannot be the id of a deployment.")
        try:
            held = await self._lock.acquire_soon("Storing a deployment record")
        except LockHeld as error:
            return plain(409, error.message)
        with held:
            if self._store.read(foreign.id) is not None:
                return message(409, f"Deployment '{foreign.id}' already exists.")
            self._store.write(foreign)
            log = self._store.log(foreign.id)
            failed = foreign.status is Status.FAILED
            log.entry(foreign.message or "", Kind.ERROR if failed else Kind.MESSAGE)
            if details := body.get("details"):
                log.child(str(details), Kind.ERROR if failed else Kind.MESSAGE)
            if not failed and active is not False:
                self._store.carry_manifest(foreign.id)
                self._store.activate(foreign.id)
        address = f"{origin(request)}/api/deployments/{foreign.id}"
        return self._wrapped(request, self._json(foreign, active=self._store.active(), address=address))

    async def log(self, request: Request) -> Response:
        """GET of a log: its top-level entries."""
        identity = request.path_params["id"]
        entries = await self._entries(identity)
        if entries is None:
            return _unknown(request, identity)
        address = page_address(request).rstrip("/")
        return json_answer([entry_json(entry, address=address) for entry in entries])

    async def log_details(self, request: Request) -> Response:
        """GET of one entry's children; 404 where it has none."""
        identity, entry_id = request.path_params["id"], request.path_params["log_id"]
        entries = await self._entries(identity)
        if entries is None:
            return _unknown(request, identity)
        found = next((entry for entry in entries if entry.id == entry_id and entry.children), None)
        if found is None:
            return message(404, f"LogId '{entry_id}' was not found in Deployment '{identity}'.")
        return json_answer([entry_json(child, address=None) for child in found.children])

    async def _entries(self, identity: str) -> Sequence[LogEntry] | None:
        if self._store.read(identity) is None:
            return None
        log = self._store.log(identity)
        return await asyncio.to_thread(log.read) if log.exists() else None

    def _latest(self, request: Request) -> Response:
        records = self._store.records()
        if not records:
            return _unknown(request, _LATEST)
        active = self._store.active()
        waiting = next((record for record in records if not record.complete), None)
        if waiting is not None:
            return self._wrapped(
                request, self._json(waiting, active=active, address=None), status=202, waiting=True
            )
        last = max(records, key=lambda record: record.end or record.received)
        address = f"{origin(request)}/api/deployments/{_LATEST}"
        return self._wrapped(request, self._json(last, active=active, address=address))

    def _json(self, record: DeploymentRecord, *, active: str | None, address: str | None) -> dict[str, Any]:
        return record_json(record, active=record.id == active, site=self._site, address=address)

    def _wrapped(
        self, request: Request, body: dict[str, Any], *, status: int = 200, waiting: bool = False
    ) -> Response:
        headers = {"location": _own_address(request), "retry-after": self._retry} if waiting else {}
        value = envelope(request, body) if is_arm(request) else body
        return json_answer(value, status=status, headers=headers)


def retry_seconds(text: str | None) -> int:
    """Return the seconds of `Retry-After` (`SCM_ArmRetryAfterSeconds`; 30, at least 10)."""
    return (
        max(int(text), _LEAST_RETRY_SECONDS) if text and text.isascii() and text.isdigit() else _RETRY_SECONDS
    )


def _user(request: Request) -> str:
    return request.headers.get("x-ms-client-principal-name") or "API"


def _has_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _own_address(request: Request) -> str:
    referrer = request.headers.get("referer")
    return referrer if is_arm(request) and referrer else page_address(request) + query_suffix(request)


def _list_tag(request: Request, changed_ns: int) -> str:
    asked = hashlib.sha256(f"{raw_path(request)}{query_suffix(request)}".encode()).hexdigest()[:16]
    return f'"{asked}{changed_ns:x}"'


def _unknown(request: Request, identity: str) -> Response:
    text = f"Deployment '{identity}' not found."
    return arm_error(404, text, code="NotFound") if is_arm(request) else message(404, text)
