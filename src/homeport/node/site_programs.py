"""Programs of the platform that run once in a site's sandbox, as its user, and whose words are read."""

import asyncio
import os
from collections.abc import Sequence

from homeport.model.errors import Unavailable
from homeport.node.hosted_site import HostedSite
from homeport.node.platform_view import platform_mounts
from homeport.node.sandbox import Mount
from homeport.node.sandboxed import memory_file

_OUTPUT_BYTES = 1024 * 1024
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/home", "LANG": "C.UTF-8"}


async def run_in_site(
    site: HostedSite, line: Sequence[str], *, mounts: Sequence[Mount] = (), told: bytes = b"", seconds: float
) -> tuple[int, str]:
    """Run a program that reads `told`; return its exit code and what it printed, which is the site's own word.

    Raises `Unavailable` when it takes longer than `seconds`.
    """
    read_end, write_end = os.pipe()
    try:
        with memory_file(told) as stdin:
            process = await site.run_in_sandbox(
                line,
                mounts=(*platform_mounts(), *mounts),
                stdin=stdin,
                output=write_end,
                environment=_ENVIRONMENT,
            )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    reading = asyncio.create_task(asyncio.to_thread(_read_all, read_end))
    try:
        output = await asyncio.wait_for(asyncio.shield(reading), seconds)
    except TimeoutError as error:
        raise Unavailable(f"It was not done within {seconds / 60:g} minutes and was ended.") from error
    finally:
        if not reading.done():
            process.kill()
            await reading
    return await process.wait(), output.decode(errors="replace")


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_OUTPUT_BYTES)
