"""What a preview shows: a home with the content and packages that rolling back to a deployment would give.

Everything that the application may write in place is a copy of its own: the live site does not change with it. What is
not content or packages (`data`, `LogFiles`, …) is a link to the live site's.
"""

import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from homeport.model.errors import Conflict, NotFound
from homeport.model.preview import LIVE_HOME, STAGING, preview_id
from homeport.scm.deployments.copying import prepare_sync, run_sync
from homeport.scm.deployments.deployer import dot_deployment
from homeport.scm.deployments.git_repository import GitRepository
from homeport.scm.deployments.hosting import installed_pythons
from homeport.scm.deployments.kept import KeptDeployments, KeptRequest
from homeport.scm.deployments.site_packages import package_setting
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.deployments.transforming import build_configuration, transform_web_config
from homeport.scm.deployments.trees import copy_tree, look, remove_tree, share_tree
from homeport.scm.deployments.unpacking import is_below, project_folder, unpack_commit, unpack_package
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import Settings, SettingsProviders

_EXTENSIONS = "SiteExtensions"
_SCRIPTS, _TRANSFORM = "scripts", "applicationhost.xdt"
"""Below `site`: the agent reads them, and it follows no link."""


class PreviewContent:
    """Prepares previews of one site; only for who holds the deployment lock."""

    def __init__(
        self,
        options: ScmOptions,
        *,
        store: DeploymentStore,
        repository: GitRepository,
        providers: SettingsProviders,
        checkpoint: Callable[[], None],
    ) -> None:
        self._home = options.home
        self._web_root = options.web_root
        self._store = store
        self._kept = KeptDeployments(options.home, store)
        self._repository = repository
        self._providers = providers
        self._checkpoint = checkpoint

    def prepare(self, identity: str) -> Path:
        """Make the home that the agent takes; return its path.

        Raises `NotFound` where nothing of the deployment was kept, `Conflict` where a preview cannot show it, and what
        unpacking and copying raise.
        """
        root = self._home / STAGING
        remove_tree(root)
        root.mkdir(parents=True)
        place = root / preview_id(identity)
        content = place / "site/wwwroot"
        try:
            self._lay_out(identity, root / "package", content)
            for kept, name in self._kept.environments(identity):
                remove_tree(content / name)
                share_tree(kept, content / name, checkpoint=self._checkpoint)
            self._surround(identity, place)
        except BaseException:
            remove_tree(root)
            raise
        remove_tree(root / "package")
        return place

    def discard(self) -> None:
        """Remove whatever was prepared and not taken."""
        remove_tree(self._home / STAGING)

    def _lay_out(self, identity: str, aside: Path, content: Path) -> None:
        """Do in a copy of the content what the deployment did in the content."""
        request = self._kept.request(identity)
        source = self._unpack(identity, request, aside / "extracted")
        settings = self._providers.current(deployment=dot_deployment(source))
        if settings.get("COMMAND"):
            raise Conflict("This deployment runs a command of its own (COMMAND), and a preview runs none.")
        target = self._target(request, settings, content)
        if request.artifact is None:
            package, source = source, project_folder(source, settings)
            if not is_below(source, package):
                raise Conflict(
                    f"PROJECT names '{settings.get('PROJECT')}', which is no folder of the package."
                )
            configuration = build_configuration(settings.get("SCM_BUILD_ARGS"))
            if configuration:
                transform_web_config(source, configuration)
        mirror = request.clean or bool(package_setting(settings))
        if not (mirror and target == content):
            copy_tree(self._web_root, content, checkpoint=self._checkpoint)
        adds = request.artifact is not None or request.carries
        previous = frozenset[str]() if adds else self._store.previous_manifest()
        _drop_links(content, target, {*look(source), *previous})
        target.mkdir(parents=True, exist_ok=True)
        plan = prepare_sync(
            source,
            target,
            previous=previous,
            mirror=mirror,
            everything=True,
        )
        run_sync(plan, source, target, say=lambda _: None, checkpoint=self._checkpoint)

    def _unpack(self, identity: str, request: KeptRequest, target: Path) -> Path:
        target.parent.mkdir(parents=True)
        settings = self._providers.current()
        if request.commit is not None:
            if self._repository.commit(request.commit) is None:
                raise NotFound(f"The repository has no commit '{request.commit}' any more.")
            unpack_commit(
                self._repository, request.commit, target, settings=settings, checkpoint=self._checkpoint
            )
            return target
        package = self._kept.package(identity)
        if package is None:
            raise NotFound(f"Nothing of deployment '{identity}' was kept to be previewed.")
        unpack_package(
            package, target, artifact=request.artifact, settings=settings, checkpoint=self._checkpoint
        )
        return target

    def _target(self, request: KeptRequest, settings: Settings, content: Path) -> Path:
        """Return the folder of the copy that stands for the one that was deployed to."""
        below = (settings.get("SCM_TARGET_PATH") or "").replace("\\", "/").strip("/")
        place = self._web_root / below if request.target is None else self._home / request.target
        place = Path(os.path.normpath(place))
        if not place.is_relative_to(self._web_root):
            raise Conflict(
                "This deployment went to a folder outside wwwroot: there is nothing of it to be previewed."
            )
        return content / place.relative_to(self._web_root)

    def _surround(self, identity: str, place: Path) -> None:
        """Give the home its packages, and links for the rest."""
        packages = {python.folder.name: python.folder for python in installed_pythons(self._home)}
        packages |= {live.name: kept for kept, live in self._kept.runtimes(identity)}
        packages[_EXTENSIONS] = self._home / _EXTENSIONS
        self._fill(self._home, place, without="site", shared=packages)
        self._fill(
            self._home / "site",
            place / "site",
            without="wwwroot",
            shared={_SCRIPTS: self._home / "site" / _SCRIPTS},
        )

    def _fill(self, live: Path, place: Path, *, without: str, shared: dict[str, Path]) -> None:
        """Share folders, copy the transform; what else there is becomes a link, as the sandbox of the preview sees it."""
        with os.scandir(live) as entries:
            for entry in entries:
                if entry.name == without:
                    continue
                if entry.name in shared and entry.is_dir(follow_symlinks=False):
                    share_tree(shared[entry.name], place / entry.name, checkpoint=self._checkpoint)
                elif entry.name.lower() == _TRANSFORM and entry.is_file(follow_symlinks=False):
                    shutil.copyfile(entry.path, place / entry.name)
                else:
                    below = Path(entry.path).relative_to(self._home).as_posix()
                    (place / entry.name).symlink_to(f"{LIVE_HOME}/{below}")


def _drop_links(content: Path, target: Path, paths: Collection[str]) -> None:
    """Remove links to folders on the way to `paths` below `target`: what is written there would be the live site's."""
    folders = {parent for path in paths for parent in (target / path).parents}
    for folder in sorted(folder for folder in folders if folder.is_relative_to(content)):
        if folder.is_symlink():
            folder.unlink()
