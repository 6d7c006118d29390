"""Lets a site fetch the package that it runs from (`WEBSITE_RUN_FROM_PACKAGE=https://…`, Kudu reference §3.6).

The agent fetches nothing: it asks the site's own SCM app, which does it in the site's sandbox and deploys the package.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)
_SETTINGS = frozenset({"WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_RUN_FROM_ZIP"})
_REQUEST = b"POST /api/homeport/package HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SECONDS = 1800.0
_ATTEMPTS = 3
_ANSWER_BYTES = 1000


def runs_from_address(app_settings: Mapping[str, str]) -> bool:
    """Tell whether a site's package is at an address; the SCM app looks closer."""
    return any("://" in value for name, value in app_settings.items() if name.upper() in _SETTINGS)


async def refresh_package(site: str, socket: Path, *, turn: asyncio.Semaphore) -> None:
    """Ask the SCM app behind `socket` to fetch the package, in its `turn`; how it ends is in the site's deployments."""
    status = ""
    async with turn:
        for _ in range(_ATTEMPTS):
            try:
                async with asyncio.timeout(_SECONDS):
                    status = await _post(socket)
            except (OSError, TimeoutError) as error:
                status = repr(error)
            if status and " 503 " not in status:  # that one is from a process that was just being replaced
                break
    log = _log.info if " 200 " in status else _log.warning
    log("site.package", site=site, answer=status)


async def _post(socket: Path) -> str:
    """Send the request and return the answer's first line; whoever answers is the tenant."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(_REQUEST)
        await writer.drain()
        return (await reader.read(_ANSWER_BYTES)).split(b"\r\n")[0].decode("ascii", "replace")
    finally:
        writer.close()
