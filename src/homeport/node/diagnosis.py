"""Why a site does not start: what the agent knows of it, and finding the cause for a preview.

The SCM app of a site finds the cause itself. A preview has none, so a program runs in the preview's sandbox, where its
content, packages and logs are.
"""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from homeport.model.errors import Unavailable
from homeport.node.platform_view import platform_program

if TYPE_CHECKING:
    from homeport.node.hosted_site import HostedSite
    from homeport.node.previews import HostedPreview

_log = structlog.get_logger(__name__)
_SECONDS = 60.0
_SHOWN = 500


async def hosting_facts(site: "HostedSite") -> dict[str, object]:
    """Return how a site is hosted: its state, pools, processes, broken answers and memory, as JSON values."""
    seen = site.observed()
    fault = await asyncio.to_thread(site.newest_answer_fault) if site.plan.http_pools else None
    return {
        "state": site.desired.state.value,
        "pools": seen["pools"],
        "processes": seen["processes"],
        "answer_fault": fault and asdict(fault),
        "memory": {"limit": site.desired.limits.memory_bytes, "kills": site.memory_kills()},
    }


async def diagnose_preview(preview: "HostedPreview") -> str:
    """Return what `homeport.scm.diagnosis` says of a preview: JSON text, the site's own word. Raises `Unavailable`."""
    from homeport.node.site_programs import run_in_site  # late: it needs `hosted_site`, which needs us

    told = {
        "site": preview.site.name,
        "deployment": preview.deployment,
        "app_settings": dict(preview.desired.app_settings),
        "hosting": await hosting_facts(preview),
    }
    code, output = await run_in_site(
        preview,
        platform_program("homeport.scm.diagnosis"),
        told=json.dumps(told).encode(),
        seconds=_SECONDS,
    )
    if code != 0:
        _log.warning("preview.not-diagnosed", preview=preview.desired.name, said=output[-_SHOWN:])
        raise Unavailable("The preview could not be looked into; try again.")
    return output
