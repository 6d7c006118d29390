"""Paths of Unix sockets that nginx connects to."""

import re

from homeport.model.errors import Invalid

_SOCKET = re.compile(r"/[A-Za-z0-9_./@+-]{1,106}")


def socket_path(path: str) -> str:
    """Check a Unix socket's path: nginx ends it at a colon, the kernel after 107 bytes. Raises `Invalid`."""
    if not _SOCKET.fullmatch(path):
        raise Invalid(f"'{path}' cannot be the path of a Unix socket that nginx connects to.")
    return path
