"""The folders of a preview: `sites/<site>--preview-<id>`, with a home that the SCM app prepared.

The SCM app makes that home below the site's own, as the site's user. It is moved, not copied: files that it shares with
kept deployments stay shared. From then on the path to it is out of the site's hands, as that of every site's home is.
"""

import os
import stat

from homeport.model.errors import Conflict, Invalid, NotFound
from homeport.model.preview import STAGING, is_preview_name
from homeport.node.layout import NodeLayout
from homeport.node.site_home import remove_site_home
from homeport.node.tenant_files import TenantTree

_MARK = "preview"
"""The file that tells a preview's folder from a site's; no site can put it there."""


def take_home(layout: NodeLayout, site: str, name: str, short: str, *, owner: int | None) -> None:
    """Make the folder of the preview `name` around the home that was prepared for it.

    `owner` is the site's user (None: not root). Raises `Conflict` where there is a folder of that name, `NotFound` where
    nothing was prepared, and `Invalid` for what is no folder of the site's user.
    """
    folder = layout.site(name)
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise Conflict(f"There is a site or preview '{name}' already.") from error
    try:
        (folder / _MARK).touch()
        with TenantTree(layout.home(site)).folder(STAGING) as prepared:
            _move(prepared, short, folder, owner=owner)
    except BaseException:
        remove_site_home(layout, name)
        raise


def _move(prepared: int, short: str, folder: os.PathLike[str], *, owner: int | None) -> None:
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            os.rename(short, "home", src_dir_fd=prepared, dst_dir_fd=place)
        except FileNotFoundError as error:
            raise NotFound("Nothing was prepared for this preview.") from error
        # Now that nobody else can put another thing in its place.
        status = os.stat("home", dir_fd=place, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode) or (owner is not None and status.st_uid != owner):
            raise Invalid("What was prepared for this preview is no folder of the site.")
        home = os.open("home", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
        try:
            os.fchmod(home, 0o755)
        finally:
            os.close(home)
    finally:
        os.close(place)


def stale_previews(layout: NodeLayout) -> list[str]:
    """Name the folders that previews of an agent that was killed have left."""
    try:
        names = [path.name for path in layout.sites.iterdir() if is_preview_name(path.name)]
    except OSError:
        return []
    return [name for name in names if _is_previews(layout, name)]


def _is_previews(layout: NodeLayout, name: str) -> bool:
    folder = layout.site(name)
    return (folder / _MARK).is_file() or not any(folder.iterdir())
