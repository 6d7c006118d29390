"""Deploying a commit of the site's repository, in the record that bears its hash (Kudu reference §4.4, §4.8)."""

from collections.abc import Callable
from datetime import UTC, datetime

from homeport.scm.deployments.deployer import Deployer, PushRequest
from homeport.scm.deployments.git_repository import Commit, GitRepository
from homeport.scm.deployments.record import DeploymentRecord, Status
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.settings.stack import SettingsProviders


class CommitDeployer:
    """Deploys commits; only for who holds the deployment lock."""

    def __init__(
        self,
        deployer: Deployer,
        *,
        store: DeploymentStore,
        repository: GitRepository,
        providers: SettingsProviders,
    ) -> None:
        self._deployer = deployer
        self._store = store
        self.repository = repository
        self._providers = providers

    def branch(self) -> str:
        """Return the branch that is deployed (`deployment_branch`, §4.7)."""
        settings = self._providers.current()
        return settings.get("deployment_branch") or settings.get("branch") or "master"

    def deploy(
        self, commit: Commit, *, user: str, clean: bool = False, follow: Callable[[str], None] | None = None
    ) -> bool:
        """Deploy a commit and return whether that went well; `follow` gets the lines of the log."""
        now = datetime.now(UTC)
        record = self._store.read(commit.id) or DeploymentRecord(
            id=commit.id,
            status=Status.PENDING,
            received=now,
            start=now,
            deployer=user,
            author=commit.author,
            author_email=commit.author_email,
            message=commit.message,
        )
        request = PushRequest(
            package=self._deployer.new_package(),
            commit=commit.id,
            clean=clean,
            builds=True,
            again=commit.id,
            follow=follow,
        )
        self._deployer.run_again(request, record)
        ended = self._store.read(commit.id)
        return ended is not None and ended.status is Status.SUCCESS
