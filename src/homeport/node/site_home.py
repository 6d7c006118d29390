"""The folders of a site on disk, as App Service lays them out (Kudu reference §0.2, IIS reference §10.1)."""

import os
import subprocess
from pathlib import Path

from homeport.model.errors import Unavailable
from homeport.model.site import DesiredSite
from homeport.node.layout import NodeLayout
from homeport.node.network import NAMESERVER
from homeport.node.tenant_files import TenantTree

_FOLDERS = (
    "site/wwwroot",
    "site/deployments",
    "site/locks",
    "LogFiles/Application",
    "LogFiles/kudu",
    "LogFiles/homeport/failures",
    "SiteExtensions",
    "data",
)
_START_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{name} is up and running</title>
<style>:root{{color-scheme:light dark}}body{{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}}
code{{background:#8882;padding:.1em .3em;border-radius:.3em}}</style></head>
<body><h1>{name} is up and running</h1>
<p>It has no content yet. Put a Python into it and deploy an application:</p>
<p><code>homeport extension add {name} python3117x64</code><br><code>homeport deploy {name} ./myapp</code></p>
</body></html>
"""


def prepare_site_home(layout: NodeLayout, site: DesiredSite, *, web_group: int | None) -> None:
    """Make what is missing of a site's folders; what is there already is left as it is.

    `web_group` is the group of the nginx workers, who alone may pass the site's outer folder (None: not root).
    """
    fresh = not layout.home(site.name).exists()
    owner = site.uid if os.geteuid() == 0 else None
    layout.sites.mkdir(parents=True, exist_ok=True)
    if owner is not None:
        layout.sites.chmod(0o711)
    prepare_outer_folder(layout, site, web_group=web_group)
    layout.home(site.name).mkdir(exist_ok=True)
    if owner is not None:
        os.chown(layout.home(site.name), owner, owner)
        layout.home(site.name).chmod(0o755)
    home = TenantTree(layout.home(site.name))
    for name in _FOLDERS:
        home.make_folder(name, owner=owner)
    if fresh:
        page = _START_PAGE.format(name=site.name).encode()
        home.write_new("site/wwwroot/hostingstart.html", page, owner=owner)


def prepare_outer_folder(layout: NodeLayout, site: DesiredSite, *, web_group: int | None) -> None:
    """Make what is missing around a site's home: its folder, who it is, and its local folder."""
    folder = layout.site(site.name)
    owner = site.uid if os.geteuid() == 0 else None
    for path in (folder, folder / "local", folder / "etc"):
        path.mkdir(exist_ok=True)
    if owner is not None:
        os.chown(folder, 0, web_group if web_group is not None else 0)
        folder.chmod(0o750)
    _write_identity(folder / "etc", site)
    for name in ("", "ScmTemp"):
        _make_local(folder / "local" / name, owner=owner)


def remove_site_home(layout: NodeLayout, name: str) -> None:
    """Delete everything of a site; links in it are removed, never followed. Raises `Unavailable`.

    By rm, which goes as deep as a site may have nested its folders; Python's own recursion does not.
    """
    line = ("rm", "-rf", "--one-file-system", "--", str(layout.site(name)))
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"The files of '{name}' could not be deleted: {done.stderr.strip()[-300:]}")


def _make_local(folder: Path, *, owner: int | None) -> None:
    """Make D:\\local: the platform's own folder, in which only `Temp` belongs to the site.

    Bubblewrap follows links in what it binds, so the site must not be able to put one in the place of `Temp`.
    """
    folder.mkdir(exist_ok=True)
    temp = folder / "Temp"
    if owner is not None:
        os.chown(folder, 0, 0)
        folder.chmod(0o755)
    if temp.is_symlink() or (temp.exists() and not temp.is_dir()):
        temp.unlink()
    temp.mkdir(exist_ok=True)
    if owner is not None:
        os.chown(temp, owner, owner, follow_symlinks=False)


def _write_identity(folder: Path, site: DesiredSite) -> None:
    user = site.uid if os.geteuid() == 0 else os.geteuid()
    files = {
        "passwd": f"root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n{site.name}:x:{user}:{user}::/home:/bin/bash\n",
        "group": f"root:x:0:\n{site.name}:x:{user}:\n",
        "hosts": f"127.0.0.1 localhost {site.name}\n::1 localhost ip6-localhost\n",
        # The way there is short, so a question without an answer was lost: ask again after one second, not five.
        "resolv.conf": f"nameserver {NAMESERVER}\noptions timeout:1 attempts:5\n"
        if os.geteuid() == 0
        else Path("/etc/resolv.conf").read_text(),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
