"""`/api/dump`: deployments and logs of the site in one archive (Kudu reference §5.6)."""

import fnmatch
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.http.answers import nothing
from homeport.scm.zip.endpoint import zip_answer
from homeport.scm.zip.streaming import Entry, tree_entries

# Dumps are handed on to others who help; what the settings hold is not theirs to read.
_SECRET = frozenset({"settings.xml", "hooks"})


class DumpEndpoint:
    """Packs what somebody needs to see who helps with a site."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def read(self, request: Request) -> Response:
        """GET: the archive; any other verb is 405."""
        if request.method != "GET":
            return nothing(405, headers={"allow": "GET"})
        return zip_answer(request, self._entries(), name=f"dump-{datetime.now(UTC):%m-%d-%H-%M-%S}.zip")

    def _entries(self) -> Iterator[Entry]:
        yield from tree_entries(self._home / "site/deployments", prefix="deployments/", leave_out=_SECRET)
        for entry in tree_entries(self._home / "LogFiles", prefix="LogFiles/"):
            if not fnmatch.fnmatchcase(entry.name.upper(), "LOGFILES/W3SVC*"):
                yield entry
        for folder in (self._home / "site/wwwroot", self._home / "site/repository"):
            log = folder / "npm-debug.log"
            if log.is_file() and not log.is_symlink():
                yield Entry(log, f"{folder.name}/npm-debug.log")
