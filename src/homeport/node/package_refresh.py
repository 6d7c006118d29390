"""Lets a site fetch the package that it runs from (`WEBSITE_RUN_FROM_PACKAGE=https://…`, Kudu reference §3.6).

The agent fetches nothing: it asks the site's own SCM app, which does it in the site's sandbox and deploys the package.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)
_SETTINGS = frozenset({"WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_RUN_FROM_ZIP"})
_REQUEST = b"POST /api/homeport/package HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SECONDS = 20.0
_PAUSE_SECONDS = 0.5
_ANSWER_BYTES = 1000


def runs_from_address(app_settings: Mapping[str, str]) -> bool:
    """Tell whether a site's package is at an address; the SCM app looks closer."""
    return any("://" in value for name, value in app_settings.items() if name.upper() in _SETTINGS)


class PackageRefresh:
    """Asks the SCM app behind `socket` to fetch the package of one site, in its `turn` among all sites."""

    def __init__(self, site: str, socket: Path, *, turn: asyncio.Semaphore) -> None:
        self._site = site
        self._socket = socket
        self._turn = turn
        self._waits = False

    async def run(self) -> None:
        """Ask once, however many ask for it before the turn comes; how it ends is in the site's deployments.

        A site that takes long goes on by itself: it holds up no other.
        """
        if self._waits:
            return
        self._waits = True
        async with self._turn:
            self._waits = False
            answer = await self._ask()
        log = _log.info if " 200 " in answer else _log.warning
        log("site.package", site=self._site, answer=answer)

    async def _ask(self) -> str:
        answer = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                while not answer or " 503 " in answer:  # it comes from a process that is just being replaced
                    try:
                        answer = await _post(self._socket)
                    except OSError as error:
                        answer = repr(error)
                    await asyncio.sleep(_PAUSE_SECONDS)
        return answer


async def _post(socket: Path) -> str:
    """Send the request and return the answer's first line; whoever answers is the tenant."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(_REQUEST)
        await writer.drain()
        return (await reader.read(_ANSWER_BYTES)).split(b"\r\n")[0].decode("ascii", "replace")
    finally:
        writer.close()
