"""What a site's own SCM app can have the agent do: its processes, its Pythons, its configuration, of that one site."""

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from homeport.model.errors import Invalid, NotFound
from homeport.node.diagnosis import diagnose_preview, hosting_facts
from homeport.node.local_api import Progress
from homeport.node.python_stacks import python_stacks
from homeport.node.site_control import Action
from homeport.node.site_processes import (
    SandboxRoot,
    kill_tree,
    process_detail,
    process_summary,
    resolve_process,
    site_processes,
)

if TYPE_CHECKING:
    from homeport.node.hosted_site import HostedSite

_RESTART_SECONDS = 20.0


def site_actions(site: "HostedSite") -> Mapping[str, Action]:
    """Return the actions of one site by name."""

    async def list_processes(_: Mapping[str, Any], _progress: Progress) -> object:
        return await asyncio.to_thread(_summaries, site.sandboxes())

    async def show_process(request: Mapping[str, Any], _progress: Progress) -> object:
        number, roots = _number(request), site.sandboxes()
        return await asyncio.to_thread(lambda: process_detail(resolve_process(site_processes(roots), number)))

    async def kill_process(request: Mapping[str, Any], _progress: Progress) -> object:
        number, roots = _number(request), site.sandboxes()
        found = resolve_process(await asyncio.to_thread(site_processes, roots), number)
        if found.main and found.root.kind == "scm":
            site.recycle_scm("its owner restarted it")
            return {"restarted": "scm"}
        if number == -1:
            before = {root.pid for root in roots if root.kind == "worker"}
            site.recycle_workers("its owner restarted it")
            await _gone(site, before)
            return {"restarted": "workers"}
        return {"killed": await asyncio.to_thread(kill_tree, roots, found.pid)}

    async def take_stacks(request: Mapping[str, Any], _progress: Progress) -> object:
        uid = site.desired.uid if os.geteuid() == 0 else None
        text = await python_stacks(
            site.sandboxes(),
            _number(request),
            uid=uid,
            cgroup_procs=site.cgroup_procs(),
            values=request.get("values") is True,
        )
        return {"stacks": text}

    async def restart(_: Mapping[str, Any], _progress: Progress) -> object:
        site.recycle_workers("its owner restarted the site")
        return {"restarted": "workers"}

    async def list_gallery(_: Mapping[str, Any], _progress: Progress) -> object:
        entries = await asyncio.to_thread(site.gallery.entries)
        shown = ("id", "version", "state", "source", "recommended")
        return [{name: getattr(entry, name) for name in shown} for entry in entries]

    async def resolve_extension(request: Mapping[str, Any], _progress: Progress) -> object:
        found = await asyncio.to_thread(site.gallery.resolve, _extension(request))
        return {"id": found.requested.text, "version": found.entry.version, "note": found.note}

    async def install_extension(request: Mapping[str, Any], progress: Progress) -> object:
        return dict(
            await site.control_plane.install(site.desired.name, _extension(request), progress=progress)
        )

    async def remove_extension(request: Mapping[str, Any], _progress: Progress) -> object:
        await site.control_plane.uninstall(site.desired.name, _extension(request))
        return {}

    async def follow(_: Mapping[str, Any], _progress: Progress) -> object:
        await site.follow_content()
        return {}

    async def show_hosting(_: Mapping[str, Any], _progress: Progress) -> object:
        return await hosting_facts(site)

    async def start_preview(request: Mapping[str, Any], _progress: Progress) -> object:
        return await site.start_preview(_deployment(request))

    async def end_preview(request: Mapping[str, Any], _progress: Progress) -> object:
        await site.end_preview(_deployment(request))
        return {}

    async def list_previews(_: Mapping[str, Any], _progress: Progress) -> object:
        return [preview.to_json() for preview in site.previews]

    async def why_preview(request: Mapping[str, Any], _progress: Progress) -> object:
        wanted = _deployment(request)
        for preview in site.previews:
            if wanted in (preview.deployment, preview.short):
                return {"answer": await diagnose_preview(preview)}
        raise NotFound(
            f"There is no preview '{wanted}' any more: begin it again, then ask while it is there."
        )

    return {
        "gallery": list_gallery,
        "hosting": show_hosting,
        "resolve": resolve_extension,
        "install": install_extension,
        "uninstall": remove_extension,
        "follow": follow,
        "processes": list_processes,
        "process": show_process,
        "kill": kill_process,
        "stacks": take_stacks,
        "restart": restart,
        "preview": start_preview,
        "end-preview": end_preview,
        "previews": list_previews,
        "why-preview": why_preview,
    }


async def _gone(site: "HostedSite", sandboxes: set[int]) -> None:
    """Return once others serve and these have ended, or when a request holds one of them for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_RESTART_SECONDS):
            await site.renewed()
            await site.ended(sandboxes)


def _deployment(request: Mapping[str, Any]) -> str:
    text = request.get("id")
    if not isinstance(text, str):
        raise Invalid("A deployment is named by its id.")
    return text


def _extension(request: Mapping[str, Any]) -> str:
    text = request.get("id")
    if not isinstance(text, str) or not 0 < len(text) <= 100:
        raise Invalid("An extension is named by its id.")
    return text


def _summaries(roots: Sequence[SandboxRoot]) -> list[dict[str, Any]]:
    found = (process_summary(process) for process in site_processes(roots).values())
    return [summary for summary in found if summary is not None]


def _number(request: Mapping[str, Any]) -> int:
    number = request.get("id")
    if type(number) is not int or not -1 <= number < 2**31:
        raise Invalid("A process is named by its number.")
    return number
