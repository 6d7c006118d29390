"""Access logs in a site's LogFiles, in the W3C format and with the fields of App Service.

Written by the agent through `TenantTree`, so a link in the place of a folder or file leads nowhere; nginx never writes
below a site's home.
"""

import contextlib
import os
import stat
import time
from collections.abc import Sequence

from homeport.model.errors import HomeportError
from homeport.model.site import SiteConfig
from homeport.node.tenant_files import TenantTree

FOLDER = "LogFiles/http/RawLogs"
_FIELDS = (
    "#Software: Homeport\n"
    "#Fields: date time s-sitename cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) "
    "cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken\n"
)
_DAY_SECONDS = 86400
_PARTS = 4
"""A file ends at this part of what may be kept, so that the oldest can go."""


class AccessLog:
    """The access log of one site; `owner` is the Unix user that its files belong to (None: leave them)."""

    def __init__(self, tree: TenantTree, site: str, *, instance: str, owner: int | None) -> None:
        self._tree = tree
        self._site = site.upper()
        self._prefix = instance[:6]
        self._owner = owner
        self._name = ""
        self._hour = ""

    def append(self, lines: Sequence[Sequence[str]], config: SiteConfig) -> None:
        """Write requests, given by `FULL_FIELDS`; a log that cannot be written (disk full, a link) is given up."""
        text = "".join(w3c_line(self._site, fields) for fields in lines)
        most = config.http_log_megabytes * 1024 * 1024
        with contextlib.suppress(HomeportError, OSError):
            self._tree.make_folder(FOLDER, owner=self._owner)
            now = time.gmtime()
            hour = time.strftime("%Y%m%d%H", now)
            if not self._name or hour != self._hour:
                self._name = f"{self._prefix}-{time.strftime('%Y%m%d%H%M%S', now)}.log"
                self._hour = hour
                self._clear(most, config.http_log_days)
            descriptor = self._tree.open_append(f"{FOLDER}/{self._name}", owner=self._owner)
            try:
                head = "" if os.fstat(descriptor).st_size else _FIELDS
                os.write(descriptor, (head + text).encode())
                full = os.fstat(descriptor).st_size >= most // _PARTS
            finally:
                os.close(descriptor)
            if full:
                self._name = ""

    def _clear(self, most_bytes: int, days: int) -> None:
        """Remove the oldest of our files, so that with the next one no more than `most_bytes` are kept."""
        left = most_bytes - most_bytes // _PARTS
        with self._tree.folder(FOLDER) as folder:
            for name in sorted(os.listdir(folder), reverse=True):  # noqa: PTH208 (a descriptor, not a path)
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not (name.endswith(".log") and stat.S_ISREG(found.st_mode)):
                    continue
                left -= found.st_size
                old = days > 0 and found.st_mtime < time.time() - days * _DAY_SECONDS
                if left < 0 or old:
                    os.unlink(name, dir_fd=folder)


def w3c_line(site: str, fields: Sequence[str]) -> str:
    """Render one request, given by `FULL_FIELDS`. Blanks in values become `+` and empty ones `-`, as under IIS."""
    _, status, seconds, sent, received, upstream, moment, request, uri, port, user, address, *headers = fields
    method = request.partition(" ")[0]
    stem, _, query = uri.partition("?")
    agent, cookie, referer, host, noted = headers
    values = (method, stem, query, port, user, address, agent, cookie, referer, host)
    shown = " ".join(value.replace(" ", "+") if value and value != "-" else "-" for value in values)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(float(moment)))
    taken = int(float(seconds) * 1000)
    return f"{when} {site} {shown} {status} {_sub_status(status, noted, stem, upstream)} 0 {sent} {received} {taken}\n"


def _sub_status(status: str, noted: str, stem: str, upstream: str) -> str:
    """Give the sub-status that was noted for an error; nginx itself finds that a folder has nothing to show (403.14)."""
    if status < "400" or not noted.isdigit():
        listing_denied = status == "403" and upstream in ("", "-") and stem.endswith("/")
        return "14" if listing_denied else "0"
    return noted
