"""Installing a Python into a site: prepare it once on the machine, then copy it in the site's own sandbox.

Nothing is written into a tenant's folder by the agent itself: the copying runs as the site's user.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from homeport.model.errors import Conflict, HomeportError, Unavailable
from homeport.node.hosted_site import HostedSite
from homeport.node.layout import NodeLayout
from homeport.node.platform_view import base_mounts, check_base, platform_program
from homeport.node.sandbox import Mount
from homeport.node.site_programs import run_in_site
from homeport.runtimes.gallery import Gallery, Resolution
from homeport.runtimes.place import Placement, place_program, removal_program
from homeport.runtimes.seed import Seed, prepare_seed

_PLACE = platform_program("homeport.runtimes.place")
Progress = Callable[[str, float], None]
_LONGEST_SECONDS = 1800.0
_TEMPLATE = "/opt/homeport/template"
_PREPARED = 0.7
"""How much of the whole is done when the Python is prepared."""


async def install_runtime(
    site: HostedSite,
    gallery: Gallery,
    layout: NodeLayout,
    runtime_id: str,
    *,
    policy: str,
    progress: Progress,
) -> dict[str, object]:
    """Install the Python that serves `runtime_id` into a site and return its record (folder, id, version, …).

    Raises what `Gallery.resolve`, `Gallery.download` and `prepare_seed` raise, and `Unavailable` when the copy fails.
    """
    resolution, seed = await asyncio.to_thread(
        _prepare, gallery, layout.runtimes, runtime_id, policy=policy, progress=progress
    )
    progress(f"Installing it as D:\\home\\{resolution.folder}", _PREPARED)
    entry = resolution.entry
    placement = Placement(
        seed=Path(_TEMPLATE),
        target=Path("/home") / resolution.folder,
        id=resolution.requested.text,
        version=entry.version,
        build=entry.build,
        base=seed.entry.base,
        note=resolution.note,
    )
    mounts = (*base_mounts({seed.entry.base}), Mount(source=seed.template.resolve(), target=_TEMPLATE))
    await _run_in_site(site, place_program(placement, run=_PLACE), mounts=mounts)
    return {
        "folder": resolution.folder,
        "id": resolution.requested.text,
        "version": resolution.entry.version,
        "build": resolution.entry.build,
        "base": seed.entry.base,
        "note": resolution.note,
    }


async def remove_runtime(site: HostedSite, folder: str) -> None:
    """Remove a Python and everything installed into it from a site. Raises `Unavailable` when that fails."""
    ids = {runtime.folder: runtime.id for runtime in site.desired.runtimes}
    line = removal_program(Path("/home") / folder, ids.get(folder, folder), run=_PLACE)
    await _run_in_site(site, line, mounts=())


def _prepare(
    gallery: Gallery, runtimes: Path, runtime_id: str, *, policy: str, progress: Progress
) -> tuple[Resolution, Seed]:
    progress(f"Looking for {runtime_id}", 0.0)
    resolution = gallery.resolve(runtime_id, policy=policy)
    if resolution.note:
        progress(resolution.note, 0.05)
    if resolution.entry.base:
        check_base(Path(resolution.entry.base))
    entry = gallery.download(resolution.entry, progress=lambda text, part: progress(text, 0.05 + part * 0.3))
    seed = prepare_seed(runtimes, entry, progress=lambda text, part: progress(text, 0.35 + part * 0.35))
    return resolution, seed


async def _run_in_site(site: HostedSite, line: Sequence[str], *, mounts: Sequence[Mount]) -> None:
    code, output = await run_in_site(site, line, mounts=mounts, seconds=_LONGEST_SECONDS)
    if code != 0:
        raise _failure(output)


def _failure(output: str) -> HomeportError:
    """Turn the last line of `place` into an error; it was written in the site, so it is only text for its owner."""
    last = output.strip().rpartition("\n")[2]
    try:
        error = json.loads(last)["error"]
        return Conflict(str(error["message"])[:500], code=str(error["code"])[:50])
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"Python could not be put into the site: {last[-500:] or 'it said nothing'}")
