"""`/deploy`: a repository elsewhere changed, or is named by hand; its branch is fetched and deployed.

Kudu reference §4.7.
"""

import asyncio
from datetime import UTC, datetime
from functools import partial
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from homeport.model.errors import Invalid
from homeport.scm.deployments.commits import CommitDeployer
from homeport.scm.deployments.deployer import Deployer, PushRequest, Stopped
from homeport.scm.deployments.fetching import about_loopback
from homeport.scm.deployments.git_repository import GitFailed
from homeport.scm.deployments.hook_payload import Source, read_payload
from homeport.scm.deployments.lock import DEPLOYING, DeploymentLock, HeldLock, LockHeld
from homeport.scm.deployments.record import DeploymentRecord, Status
from homeport.scm.deployments.runs import DeploymentRuns
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.http.address import origin
from homeport.scm.http.answers import nothing, plain
from homeport.scm.http.bodies import bounded_body
from homeport.scm.http.boundary import Activity
from homeport.scm.http.lenient_json import parse_lenient
from homeport.scm.http.query import query_flag
from homeport.scm.settings.stack import SettingsProviders

_PATIENCE_SECONDS = 3600.0
_UNTRUSTED_TYPES = frozenset({"none", "tfs", "tfsgit"})


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
        activity: Activity,
        retry_seconds: int,
    ) -> None:
        self._deployer = deployer
        self._store = store
        self._commits = commits
        self._lock = lock
        self._runs = runs
        self._providers = providers
        self._activity = activity
        self._retry = str(retry_seconds)
        self._waits = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self, _request: Request) -> Response:
        """GET: this address is for services."""
        return RedirectResponse("/", status_code=302)

    async def deploy(self, request: Request) -> Response:
        """POST: fetch and deploy, at once where a person asks and in the background where a service does."""
        text = _payload_text(request, await bounded_body(request))
        try:
            source = read_payload(parse_lenient(text) if text.strip() else None)
        except Invalid as error:
            return plain(400, error.message)
        if source is None:
            return plain(
                400,
                "Nothing here recognises this payload: send the generic form, or what GitHub, GitLab or Bitbucket "
                "send for a push.",
            )
        kind = (self._providers.current().get("ScmType") or "").lower()
        if not source.by_hand and kind in _UNTRUSTED_TYPES:
            return plain(403, "Continuous deployment is switched off for this site (ScmType).")
        branch = self._commits.branch()
        if source.branches is not None and branch not in source.branches:
            changed = ", ".join(f"'{name}'" for name in source.branches) or "no branch"
            return plain(200, f"The push changed {changed}; '{branch}' is deployed.")
        try:
            held = await self._lock.acquire_soon(DEPLOYING)
        except LockHeld as error:
            if source.by_hand:
                return plain(409, error.message)
            self._deploy_later(source, branch)
            return self._accepted(request, source)
        future = await self._begin(source, branch, held)
        if query_flag(request, "isAsync") or not source.by_hand:
            return self._accepted(request, source)
        try:
            await asyncio.shield(future)
        except GitFailed as error:
            return plain(500, str(error))
        return nothing(200)

    def _accepted(self, request: Request, source: Source) -> Response:
        location = f"{origin(request)}/api/deployments/latest?deployer={source.deployer}"
        return nothing(202, headers={"location": location, "retry-after": self._retry})

    def _deploy_later(self, source: Source, branch: str) -> None:
        """Deploy once the deployment that runs has ended: services do not ask again, and one fetch brings all pushes."""
        if not self._waits:
            self._waits = True
            task = asyncio.create_task(self._when_free(source, branch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _when_free(self, source: Source, branch: str) -> None:
        with self._activity.busy():
            try:
                held = await self._lock.wait(DEPLOYING, seconds=_PATIENCE_SECONDS)
            except LockHeld:
                return
            finally:
                self._waits = False  # a push from now on may come after the fetch
            await self._begin(source, branch, held)

    async def _begin(self, source: Source, branch: str, held: HeldLock) -> "asyncio.Future[None]":
        try:
            await asyncio.to_thread(self._deployer.clear_staging)
            push = PushRequest(
                package=self._deployer.new_package(), deployer=source.deployer, message="Fetch"
            )
            record = self._deployer.begin(push)
        except BaseException:
            held.release()
            raise
        return self._runs.start(partial(self._run, source, branch, record), held)

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
            words = [str(error), *lines[-5:], about_loopback(address).strip()]
            raise GitFailed("\n".join(filter(None, words))) from error
        commit = repository.commit(wanted) if wanted else repository.head(branch)
        if commit is None:
            raise GitFailed(f"There is no commit '{wanted or branch}' at the address.")
        self._commits.deploy(commit, user=source.deployer)


def _payload_text(request: Request, body: bytes) -> str:
    """Return the JSON text: the body, or the form field `payload`, or the first field."""
    text = body.decode("utf-8-sig", "replace")
    if "x-www-form-urlencoded" not in request.headers.get("content-type", ""):
        return text
    fields = parse_qs(text, keep_blank_values=True)
    found = fields.get("payload") or next(iter(fields.values()), [""])
    return found[0]
