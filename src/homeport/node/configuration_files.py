"""Reading the configuration that a site's owner writes: no links, no more bytes than one site may cost."""

from collections.abc import Iterable

from homeport.model.errors import HomeportError
from homeport.node.tenant_files import TenantTree
from homeport.webconfig.bounds import MOST_FILES

FILE_BYTES = 1024 * 1024


def read_file(tree: TenantTree, path: str, *, limit: int) -> bytes | None:
    """Read a tenant's file; None where there is none that may be read."""
    try:
        return tree.read(path, limit=limit)
    except (HomeportError, OSError):
        return None


def read_web_configs(content: TenantTree, folders: Iterable[str], *, most_bytes: int) -> dict[str, bytes]:
    """Read the web.config files of these folders by folder, no more of them than are compiled."""
    files: dict[str, bytes] = {}
    left = most_bytes
    for folder in folders:
        for name in content.names(folder) or ():
            if name.lower() == "web.config" and left > 0 and len(files) <= MOST_FILES:
                data = read_file(content, f"{folder}/{name}", limit=min(FILE_BYTES, left))
                if data is not None:
                    files[folder] = data
                    left -= len(data)
    return files
