"""Carrying a kept deployment out once more: rolling back, or trying again (Kudu reference §4.4)."""

import asyncio
import os
import re
import shutil
from functools import partial

from homeport.model.errors import NotFound
from homeport.scm.deployments.commits import CommitDeployer
from homeport.scm.deployments.deployer import Deployer, PushRequest
from homeport.scm.deployments.git_repository import Commit
from homeport.scm.deployments.kept import KeptDeployments
from homeport.scm.deployments.lock import HeldLock
from homeport.scm.deployments.record import DeploymentRecord
from homeport.scm.deployments.runs import DeploymentRuns
from homeport.scm.options import ScmOptions

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Redeployer:
    """Redeploys what is kept of a site's deployments: the same record, the same content, the same packages."""

    def __init__(
        self,
        deployer: Deployer,
        *,
        kept: KeptDeployments,
        commits: CommitDeployer,
        runs: DeploymentRuns,
        options: ScmOptions,
    ) -> None:
        self._deployer = deployer
        self._commits = commits
        self._kept = kept
        self._runs = runs
        self._options = options

    def can(self, identity: str) -> bool:
        """Tell whether a deployment's package is still there."""
        return self._kept.package(identity) is not None

    def commit(self, identity: str) -> Commit | None:
        """Return the commit of the repository that has this hash, None where none has."""
        found = self._commits.repository.commit(identity) if _HASH.fullmatch(identity) else None
        return found if found is not None and found.id == identity else None

    def head(self) -> Commit | None:
        """Return the newest commit of the branch that is deployed; raises `NotFound` without a repository."""
        if not self._commits.repository.exists():
            raise NotFound("There is no repository to deploy from.")
        return self._commits.repository.head(self._commits.branch())

    async def run(self, record: DeploymentRecord, held: HeldLock, *, clean: bool) -> None:
        """Deploy what is kept of a record; how it ends is in the record. The lock goes back in any case."""
        try:
            request = await asyncio.to_thread(self._request, record, clean=clean)
        except BaseException:
            held.release()
            raise
        await asyncio.shield(self._runs.start(partial(self._deployer.run_again, request, record), held))

    async def run_commit(self, commit: Commit, held: HeldLock, *, user: str, clean: bool) -> None:
        """Deploy a commit; how it ends is in its record. The lock goes back in any case."""

        def deploy() -> None:
            self._deployer.clear_staging()
            self._commits.deploy(commit, user=user, clean=clean)

        await asyncio.shield(self._runs.start(deploy, held))

    def _request(self, record: DeploymentRecord, *, clean: bool) -> PushRequest:
        self._deployer.clear_staging()
        kept = self._kept.request(record.id)
        package = self._deployer.new_package()
        place = self._kept.package(record.id)
        assert place is not None
        try:
            os.link(place, package)
        except OSError:
            shutil.copyfile(place, package)
        return PushRequest(
            package=package,
            target=None if kept.target is None else self._options.home / kept.target,
            artifact=kept.artifact,
            clean=clean or kept.clean,
            carries=kept.carries,
            restart=kept.restart,
            builds=kept.builds,
            again=record.id,
        )
