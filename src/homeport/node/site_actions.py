"""What a site's own SCM app can have the agent do: look at, stop and restart the processes of that one site."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from homeport.model.errors import Invalid
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
            site.recycle_workers("its owner restarted it")
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

    return {
        "processes": list_processes,
        "process": show_process,
        "kill": kill_process,
        "stacks": take_stacks,
        "restart": restart,
    }


def _summaries(roots: Sequence[SandboxRoot]) -> list[dict[str, Any]]:
    found = (process_summary(process) for process in site_processes(roots).values())
    return [summary for summary in found if summary is not None]


def _number(request: Mapping[str, Any]) -> int:
    number = request.get("id")
    if type(number) is not int or not -1 <= number < 2**31:
        raise Invalid("A process is named by its number.")
    return number
