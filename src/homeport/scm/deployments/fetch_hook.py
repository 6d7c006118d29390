"""`/deploy`: a repository elsewhere changed, or is named by hand; its branch is fetched and deployed.

Kudu reference §4.7.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from homeport.scm.deployments.commits import CommitDeployer
from homeport.scm.deployments.deployer import Deployer, PushRequest, Stopped
from homeport.scm.deployments.git_repository import GitFailed
from homeport.scm.deployments.lock import DEPLOYING, DeploymentLock, LockHeld
from homeport.scm.deployments.record import DeploymentRecord, Status
from homeport.scm.deployments.runs import DeploymentRuns
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.http.address import origin
from homeport.scm.http.answers import nothing, plain
from homeport.scm.http.bodies import bounded_body
from homeport.scm.http.lenient_json import parse_lenient
from homeport.scm.http.query import query_flag
from homeport.scm.settings.stack import SettingsProviders

_SCHEMES = frozenset({"http", "https", "ssh"})
_UNTRUSTED_TYPES = frozenset({"none", "tfs", "tfsgit"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a payload asks for: where the repository is, which branch changed (None: any), who says so."""

    address: str
    branch: str | None
    deployer: str
    by_hand: bool


def read_payload(payload: object) -> Source | None:
    """Read a payload: the generic form, or those of GitHub, GitLab and Bitbucket. None where it is none of them."""
    if not isinstance(payload, dict):
        return None
    if payload.get("format") == "basic":
        if str(payload.get("scm", "git")).lower() != "git":
            return None
        return _source(payload.get("url"), branch=None, deployer="External", by_hand=True)
    repository = payload.get("repository")
    if not isinstance(repository, dict):
        return None
    reference = str(payload.get("ref") or "")
    branch = reference.removeprefix("refs/heads/") if reference.startswith("refs/heads/") else None
    if payload.get("object_kind") == "push":
        return _source(repository.get("git_http_url"), branch=branch, deployer="GitLab", by_hand=False)
    if "clone_url" in repository:
        return _source(repository["clone_url"], branch=branch, deployer="GitHub", by_hand=False)
    links = repository.get("links")
    if isinstance(links, dict) and isinstance(links.get("html"), dict):
        return _source(
            links["html"].get("href"), branch=_bitbucket_branch(payload), deployer="Bitbucket", by_hand=False
        )
    return None


class FetchHook:
    """Fetches the site's branch from elsewhere and deploys it."""

    def __init__(
        self,
        deployer: Deployer,
        *,
        store: DeploymentStore,
        commits: CommitDeployer,
        lock: DeploymentLock,
        runs: DeploymentRuns,
        providers: SettingsProviders,
        retry_seconds: int,
    ) -> None:
        self._deployer = deployer
        self._store = store
        self._commits = commits
        self._lock = lock
        self._runs = runs
        self._providers = providers
        self._retry = str(retry_seconds)

    async def look(self, _request: Request) -> Response:
        """GET: this address is for services."""
        return RedirectResponse("/", status_code=302)

    async def deploy(self, request: Request) -> Response:
        """POST: fetch and deploy, at once where a person asks and in the background where a service does."""
        text = _payload_text(request, await bounded_body(request))
        source = read_payload(parse_lenient(text) if text.strip() else None)
        if source is None:
            return plain(
                400, "Nothing here recognises this payload: send the generic form or one of GitHub's."
            )
        kind = (self._providers.current().get("ScmType") or "").lower()
        if not source.by_hand and kind in _UNTRUSTED_TYPES:
            return plain(403, "Continuous deployment is switched off for this site (ScmType).")
        branch = self._commits.branch()
        if source.branch is not None and source.branch != branch:
            return plain(200, f"The branch '{source.branch}' is not the one that is deployed ('{branch}').")
        try:
            held = await self._lock.acquire_soon(DEPLOYING)
        except LockHeld as error:
            return plain(409, error.message)
        try:
            await asyncio.to_thread(self._deployer.clear_staging)
            push = PushRequest(
                package=self._deployer.new_package(), deployer=source.deployer, message="Fetch"
            )
            record = self._deployer.begin(push)
        except BaseException:
            held.release()
            raise
        future = self._runs.start(lambda: self._run(source, branch, record), held)
        if query_flag(request, "isAsync") or not source.by_hand:
            location = f"{origin(request)}/api/deployments/latest?deployer={source.deployer}"
            return nothing(202, headers={"location": location, "retry-after": self._retry})
        try:
            await asyncio.shield(future)
        except GitFailed as error:
            return plain(500, str(error))
        return nothing(200)

    def _run(self, source: Source, branch: str, temporary: DeploymentRecord) -> None:
        """Fetch and deploy; a fetch that fails leaves the temporary record, which says why."""
        try:
            self._fetch_and_deploy(source, branch)
        except (GitFailed, Stopped, OSError) as error:
            self._store.log(temporary.id).error(str(error))
            self._store.write(
                temporary.moved(Status.FAILED, text=str(error).split("\n")[0], at=datetime.now(UTC))
            )
            raise GitFailed(str(error)) from error
        self._store.remove(temporary.id)

    def _fetch_and_deploy(self, source: Source, branch: str) -> None:
        repository = self._commits.repository
        repository.ensure(branch)
        address, _, wanted = source.address.partition("#")
        lines: list[str] = []
        try:
            repository.fetch(address, branch, say=lines.append, checkpoint=self._deployer.checkpoint)
        except GitFailed as error:
            raise GitFailed("\n".join([str(error), *lines[-5:]])) from error
        commit = repository.commit(wanted) if wanted else repository.head(branch)
        if commit is None:
            raise GitFailed(f"There is no commit '{wanted or branch}' at the address.")
        self._commits.deploy(commit, user=source.deployer)


def _source(address: object, *, branch: str | None, deployer: str, by_hand: bool) -> Source | None:
    if not isinstance(address, str) or urlsplit(address).scheme.lower() not in _SCHEMES:
        return None
    return Source(address=address, branch=branch, deployer=deployer, by_hand=by_hand)


def _bitbucket_branch(payload: dict[str, Any]) -> str | None:
    try:
        return str(payload["push"]["changes"][0]["new"]["name"])
    except (KeyError, IndexError, TypeError):
        return None


def _payload_text(request: Request, body: bytes) -> str:
    """Return the JSON text: the body, or the form field `payload`, or the first field."""
    text = body.decode("utf-8-sig", "replace")
    if "x-www-form-urlencoded" not in request.headers.get("content-type", ""):
        return text
    fields = parse_qs(text, keep_blank_values=True)
    found = fields.get("payload") or next(iter(fields.values()), [""])
    return found[0]
