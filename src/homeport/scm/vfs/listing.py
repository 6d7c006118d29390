"""A folder as JSON (Kudu reference §2.2)."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homeport.scm.dotnet_time import offset_text
from homeport.scm.vfs.media_types import FOLDER, SHORTCUT, media_type_of
from homeport.scm.vfs.places import Place, Places


def list_folder(places: Places, place: Place, *, address: str, query: str) -> list[dict[str, Any]]:
    """Return the entries of a folder in the order of the file system; raises `OSError` as the folder does.

    `address` is the URL of the folder without the query, `query` what is appended to every entry's.
    """
    base = address.rstrip("/") + "/"
    with os.scandir(place.target) as entries:
        listed = [_entry(places, entry, base=base, query=query) for entry in entries]
    if place.is_root and place.target not in places.special.values():
        listed += [_shortcut(name, path, base=base, query=query) for name, path in places.special.items()]
    return listed


def _entry(places: Places, entry: os.DirEntry[str], *, base: str, query: str) -> dict[str, Any]:
    inside = not entry.is_symlink() or places.contains(Path(entry.path))
    try:
        found = entry.stat(follow_symlinks=inside)
    except OSError:
        found = entry.stat(follow_symlinks=False)
    folder = inside and entry.is_dir()
    slash = "/" if folder else ""
    return {
        "name": entry.name,
        "size": 0 if folder else found.st_size,
        "mtime": offset_text(found.st_mtime_ns),
        # Linux tells Python no time of birth; the last change of the inode is the earliest it admits to.
        "crtime": offset_text(min(found.st_ctime_ns, found.st_mtime_ns)),
        "mime": FOLDER if folder else media_type_of(entry.name),
        "href": f"{base}{quote(os.fsencode(entry.name), safe='')}{slash}{query}",
        "path": places.shown(Path(entry.path)),
    }


def _shortcut(name: str, path: Path, *, base: str, query: str) -> dict[str, Any]:
    found = path.stat()
    return {
        "name": name,
        "size": 0,
        "mtime": offset_text(found.st_mtime_ns),
        "crtime": offset_text(min(found.st_ctime_ns, found.st_mtime_ns)),
        "mime": SHORTCUT,
        "href": f"{base}{name}/{query}",
        "path": str(path),
    }
