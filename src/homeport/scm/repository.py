"""`/api/scm`, `/api/deploymentscript`: the site's repository as a whole (Kudu reference §4.6, §5.4)."""

import asyncio
import contextlib
import shutil
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Unavailable
from homeport.scm.deployments.git_repository import GitFailed, GitRepository
from homeport.scm.deployments.lock import DeploymentLock, LockHeld
from homeport.scm.deployments.store import DeploymentStore, write_manifest
from homeport.scm.http.answers import message, nothing
from homeport.scm.http.query import query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders


class RepositoryEndpoint:
    """Cleans or removes the repository of one site."""

    def __init__(
        self,
        options: ScmOptions,
        *,
        lock: DeploymentLock,
        store: DeploymentStore,
        providers: SettingsProviders,
    ) -> None:
        self._home = options.home
        self._environment = options.environment
        self._web_root = options.web_root
        self._lock = lock
        self._store = store
        self._providers = providers

    async def clean(self, _request: Request) -> Response:
        """POST `/api/scm/clean`: remove what git does not know from the repository."""
        repository = GitRepository(self._home, environment=self._environment)
        if repository.exists():
            await asyncio.to_thread(_git_clean, repository)
        return nothing(204)

    async def remove(self, request: Request) -> Response:
        """DELETE `/api/scm`: the repository, the SSH key and the records; `deleteWebRoot=1` the content too."""
        try:
            held = await self._lock.acquire_soon("Deleting the repository")
        except LockHeld as error:
            return message(409, error.message)
        with held:
            try:
                await asyncio.to_thread(self._remove, web_root=_flag(request, "deleteWebRoot"))
            except OSError as error:
                if not _flag(request, "ignoreErrors"):
                    raise Unavailable(f"Not everything could be deleted: {error}.") from error
        return nothing(204)

    async def script(self, _request: Request) -> Response:
        """GET `/api/deploymentscript`: always 404, because Homeport deploys without a generated script."""
        command = self._providers.current().get("COMMAND")
        if command:
            return message(404, "The site is deployed by its own command (the setting COMMAND).")
        return message(404, "There is no deployment script: Homeport copies and builds by itself.")

    def _remove(self, *, web_root: bool) -> None:
        site = self._home / "site"
        manifest = self._store.previous_manifest()
        _remove_tree(site / "repository")
        _remove_tree(self._home / ".ssh")
        (site / "locks/autoswap.lock").unlink(missing_ok=True)
        for record in self._store.records():
            self._store.remove(record.id)
        (site / "deployments/active").unlink(missing_ok=True)
        if not web_root:
            # The next deployment removes what the forgotten ones had brought.
            write_manifest(site / "firstDeploymentManifest", sorted(manifest))
            return
        (site / "firstDeploymentManifest").unlink(missing_ok=True)
        _remove_tree(site / "diagnostics")
        for entry in list(self._web_root.iterdir()) if self._web_root.is_dir() else []:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def _git_clean(repository: GitRepository) -> None:
    try:
        repository.git("clean", "-xdff")
    except GitFailed as error:
        raise Unavailable(f"The repository could not be cleaned: {error}") from error


def _flag(request: Request, name: str) -> bool:
    return (query_text(request, name) or "").strip().casefold() in {"1", "true"}
