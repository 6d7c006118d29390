"""A package unpacked over a folder: checked as a whole, unpacked aside, then moved file by file over what is there."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homeport.model.errors import Invalid
from homeport.scm.deployments.archive import Bounds, check_members, extract, open_package

_FORGOTTEN_SECONDS = 24 * 3600


@contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """Give a new folder below `root` that goes at the end; those of processes that died go after a day."""
    root.mkdir(parents=True, exist_ok=True)
    for old in root.iterdir():
        if old.lstat().st_mtime < time.time() - _FORGOTTEN_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    folder = root / uuid.uuid4().hex
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack_over(package: Path, target: Path, *, bounds: Bounds, staging: Path) -> None:
    """Unpack `package` over the folder `target`, which is made if missing; other files there stay.

    Raises `UnsafePackage`, `BrokenPackage` (nothing was changed), `Invalid` and `OSError` (a file and a folder are in
    each other's way; what came before it is in place).
    """
    unpacked = staging / "unpacked"
    with open_package(package, bounds) as opened:
        members = check_members(opened, size=package.stat().st_size, bounds=bounds)
        extract(opened, members, unpacked)
    target.mkdir(parents=True, exist_ok=True)
    root = os.path.realpath(target)
    for member in members:
        place = target / member.path
        folder = place if member.is_folder else place.parent
        folder.mkdir(parents=True, exist_ok=True)
        if not (os.path.realpath(folder) + os.sep).startswith(root + os.sep):
            raise Invalid(f"The entry '{member.path}' goes through a link that leads out of the folder.")
        if not member.is_folder:
            if place.is_dir() and not place.is_symlink():
                raise Invalid(f"The entry '{member.path}' is a file, and a folder of that name is there.")
            _move(unpacked / member.path, place)


def _move(source: Path, place: Path) -> None:
    try:
        source.replace(place)
    except OSError:
        aside = place.with_name(
            f".{place.name}-{uuid.uuid4().hex[:8]}"
        )  # another file system: copy, then rename
        shutil.copy2(source, aside)
        aside.replace(place)
