"""What a deployment is made of, as files in a folder: for deploying it, and for its preview (Kudu reference §3.2)."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from homeport.scm.deployments.archive import bounds_from, check_members, extract, open_package
from homeport.scm.deployments.git_repository import GitRepository
from homeport.scm.settings.stack import Settings


def unpack_package(
    package: Path, target: Path, *, artifact: str | None, settings: Settings, checkpoint: Callable[[], None]
) -> None:
    """Write a package into `target`, a new folder; with `artifact` it is one file of that name.

    Raises `UnsafePackage`, `BrokenPackage` and `OSError`.
    """
    if artifact is not None:
        target.mkdir()
        shutil.copyfile(package, target / artifact)  # the kept one must not change with it
        return
    bounds = bounds_from(settings)
    keep = not settings.flag("SCM_ZIPDEPLOY_DONOT_PRESERVE_FILETIME", default=False)
    with open_package(package, bounds) as opened:
        members = check_members(opened, size=package.stat().st_size, bounds=bounds)
        extract(opened, members, target, keep_times=keep, checkpoint=checkpoint)


def unpack_commit(
    repository: GitRepository,
    commit: str,
    target: Path,
    *,
    settings: Settings,
    checkpoint: Callable[[], None],
) -> Sequence[str]:
    """Write a commit into `target`, a new folder; return its links and submodules: plain files and empty folders there.

    Raises `UnsafePackage`, `GitFailed` and `OSError`.
    """
    return repository.export(commit, target, bounds=bounds_from(settings), checkpoint=checkpoint)


def project_folder(source: Path, settings: Settings) -> Path:
    """Return the folder that PROJECT names, the whole without it; `is_below` tells whether it may be deployed."""
    name = settings.get("PROJECT")
    return source / name.replace("\\", "/").strip("/") if name else source


def is_below(folder: Path, root: Path) -> bool:
    """Tell whether a folder is there, and no link leads it out of `root`."""
    return folder.is_dir() and folder.resolve().is_relative_to(root.resolve())
