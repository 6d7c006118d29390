"""What differs between two kept deployments: files of their packages, and installed packages."""

import asyncio
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import NotFound
from homeport.scm.deployments.archive import BrokenPackage, bounds_from, check_members, open_package
from homeport.scm.deployments.git_repository import GitRepository
from homeport.scm.deployments.kept import KeptDeployments
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.http.answers import json_answer
from homeport.scm.http.query import query_text
from homeport.scm.settings.stack import SettingsProviders


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is only in the later one, only in the earlier one, and in both but not the same."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object of the API."""
        return {"added": list(self.added), "removed": list(self.removed), "changed": list(self.changed)}


def compare(earlier: Mapping[str, object], later: Mapping[str, object]) -> Difference:
    """Compare two listings: names to whatever tells their contents apart."""
    return Difference(
        added=tuple(sorted(later.keys() - earlier.keys())),
        removed=tuple(sorted(earlier.keys() - later.keys())),
        changed=tuple(sorted(name for name in earlier.keys() & later.keys() if earlier[name] != later[name])),
    )


class DifferenceEndpoint:
    """Answers `/api/homeport/deployments/{id}/diff`."""

    def __init__(
        self,
        store: DeploymentStore,
        *,
        kept: KeptDeployments,
        repository: GitRepository,
        providers: SettingsProviders,
    ) -> None:
        self._store = store
        self._kept = kept
        self._repository = repository
        self._providers = providers

    async def compare(self, request: Request) -> Response:
        """GET: what changes when `id` takes the place of `against`, or of the active deployment."""
        later = request.path_params["id"]
        earlier = query_text(request, "against") or self._store.active()
        if earlier is None:
            raise NotFound("No deployment is active: name the one to compare with by 'against'.")
        return json_answer(await asyncio.to_thread(self._difference, earlier, later))

    def _difference(self, earlier: str, later: str) -> dict[str, Any]:
        files = compare(self._files(earlier), self._files(later))
        packages = compare(self._packages(earlier), self._packages(later))
        return {"from": earlier, "to": later, "files": files.to_json(), "packages": packages.to_json()}

    def _files(self, identity: str) -> Mapping[str, object]:
        if self._store.read(identity) is None:
            raise NotFound(f"Deployment '{identity}' not found.")
        request = self._kept.request(identity)
        if request.commit is not None:
            return self._committed(request.commit)
        package = self._kept.package(identity)
        if package is None:
            raise NotFound(f"Nothing of deployment '{identity}' was kept to compare it by.")
        if request.artifact is not None:
            return {f"{request.target}/{request.artifact}": identity}
        return self._packed(package)

    def _packed(self, package: Path) -> Mapping[str, object]:
        bounds = bounds_from(self._providers.current())
        try:
            with open_package(package, bounds) as opened:
                members = check_members(opened, size=package.stat().st_size, bounds=bounds)
        except (BrokenPackage, OSError, zipfile.BadZipFile) as error:
            raise NotFound(f"The kept package cannot be read: {error}") from error
        return {
            member.path: (member.info.CRC, member.info.file_size)
            for member in members
            if not member.is_folder
        }

    def _committed(self, commit: str) -> Mapping[str, object]:
        """List a commit as the zip that git makes of it: with the same sums as a pushed package."""
        if self._repository.commit(commit) is None:
            raise NotFound(f"The repository has no commit '{commit}' any more.")
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / "commit.zip"
            self._repository.git("archive", "--format=zip", "-0", f"--output={package}", commit)
            with zipfile.ZipFile(package) as opened:
                return {
                    info.filename: (info.CRC, info.file_size)
                    for info in opened.infolist()
                    if not info.is_dir()
                }

    def _packages(self, identity: str) -> Mapping[str, object]:
        """List what the kept runtimes have installed: names to versions."""
        found: dict[str, object] = {}
        for folder in sorted(
            (self._store.kept(identity) / "runtimes").glob("*/lib/python3*/site-packages/*.dist-info")
        ):
            name, _, version = folder.name.removesuffix(".dist-info").partition("-")
            found[name] = version
        return found
