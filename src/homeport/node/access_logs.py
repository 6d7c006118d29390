"""Access logs in a site's LogFiles, in the W3C format and with the fields of App Service.

Written by the agent through `TenantTree`, so a link in the place of a folder or file leads nowhere; nginx never writes
below a site's home.
"""

import contextlib
import os
import stat
import time
from collections import deque
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
        self._stem = ""
        self._number = 0

    def append(self, lines: Sequence[Sequence[str]], config: SiteConfig) -> None:
        """Write requests, given by `FULL_FIELDS`; a log that cannot be written (disk full, a link) is given up."""
        text = deque(w3c_line(self._site, fields).encode() for fields in lines)
        most = config.http_log_megabytes * 1024 * 1024
        with contextlib.suppress(HomeportError, OSError):
            self._tree.make_folder(FOLDER, owner=self._owner)
            while text:
                hour = time.strftime("%Y%m%d%H", time.gmtime())
                if not self._name or hour != self._hour:
                    self._hour = hour
                    self._clear(most - most // _PARTS, config.http_log_days)
                    self._name = self._new_name()
                self._write(text, most // _PARTS)

    def tidy(self, config: SiteConfig) -> None:
        """Remove what is older than it may be, of a site that nobody visits or that keeps no log any more, too."""
        with contextlib.suppress(HomeportError, OSError):
            self._clear(config.http_log_megabytes * 1024 * 1024, config.http_log_days)

    def _write(self, lines: "deque[bytes]", part: int) -> None:
        """Take lines away until the file has `part` bytes; the next file begins then."""
        descriptor = self._tree.open_append(f"{FOLDER}/{self._name}", owner=self._owner)
        try:
            size = os.fstat(descriptor).st_size
            written = [] if size else [_FIELDS.encode()]
            size += sum(map(len, written))
            while lines:
                size += len(lines[0])
                written.append(lines.popleft())
                if size >= part:
                    break
            os.write(descriptor, b"".join(written))
        finally:
            os.close(descriptor)
        if size >= part:
            self._name = ""

    def _new_name(self) -> str:
        """Name the next file by its time; those of one second are numbered, so that they sort as they were written."""
        stem = f"{self._prefix}-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
        self._number = self._number + 1 if stem == self._stem else 0
        self._stem = stem
        return f"{stem}_{self._number:03}.log" if self._number else f"{stem}.log"

    def _clear(self, left: int, days: int) -> None:
        """Remove the oldest of the files, so that no more than `left` bytes are kept, and those that are too old."""
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
    _, status, seconds, sent, received, _, upstream, *of_visitor = fields
    moment, request, uri, port, user, address, *headers = of_visitor
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
