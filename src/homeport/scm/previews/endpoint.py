"""The calls that begin, show and end previews: `/api/homeport/deployments/{id}/preview`, `/api/homeport/previews`."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Conflict, HomeportError, Invalid, NotFound
from homeport.scm.agent_channel import AgentChannel
from homeport.scm.deployments.archive import BrokenPackage, UnsafePackage
from homeport.scm.deployments.git_repository import GitFailed
from homeport.scm.deployments.lock import DeploymentLock
from homeport.scm.deployments.python_build import BuildFailed
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.dotnet_time import utc_text
from homeport.scm.http.address import origin
from homeport.scm.http.answers import json_answer, nothing
from homeport.scm.http.boundary import Activity
from homeport.scm.previews.content import PreviewContent

_NOTE = (
    "wwwroot and the installed packages are the preview's own. D:\\home\\data, D:\\home\\LogFiles and the rest of "
    "D:\\home are the live site's, and so are databases and services that the settings name."
)


class PreviewEndpoint:
    """Answers for the previews of one site."""

    def __init__(
        self,
        content: PreviewContent,
        *,
        store: DeploymentStore,
        lock: DeploymentLock,
        channel: AgentChannel,
        activity: Activity,
    ) -> None:
        self._content = content
        self._store = store
        self._lock = lock
        self._channel = channel
        self._activity = activity
        self._starting: set[asyncio.Task[dict[str, Any]]] = set()

    async def list(self, request: Request) -> Response:
        """GET: the previews of the site."""
        found = await self._channel.ask("previews")
        return json_answer([_shown(request, preview) for preview in found])

    async def read(self, request: Request) -> Response:
        """GET: the preview of a deployment."""
        return json_answer(_shown(request, await self._find(request.path_params["id"])))

    async def start(self, request: Request) -> Response:
        """POST: begin a preview, or return the one that there is."""
        identity = request.path_params["id"]
        if self._store.read(identity) is None:
            raise NotFound(f"Deployment '{identity}' not found.")
        try:
            return json_answer(_shown(request, await self._find(identity)))
        except NotFound:
            task = asyncio.create_task(self._start(identity))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        # It goes on when the client leaves: the lock is held until the work is done.
        return json_answer(_shown(request, await asyncio.shield(task)), status=201)

    async def end(self, request: Request) -> Response:
        """DELETE: end the preview of a deployment."""
        await self._channel.ask("end-preview", id=request.path_params["id"])
        return nothing(204)

    async def forget(self, identity: str) -> None:
        """End the preview of a deployment that is gone, if there is one."""
        try:
            await self._channel.ask("end-preview", id=identity)
        except HomeportError:
            return  # there is none, or no agent that could have one

    async def _find(self, identity: str) -> dict[str, Any]:
        for preview in await self._channel.ask("previews"):
            if preview["deployment"] == identity:
                return dict(preview)
        raise NotFound(f"There is no preview of deployment '{identity}'.")

    async def _start(self, identity: str) -> dict[str, Any]:
        with self._activity.busy(), await self._lock.acquire_soon("Preparing a preview"):
            try:
                await asyncio.to_thread(self._content.prepare, identity)
                found: dict[str, Any] = await self._channel.ask("preview", id=identity)
            except UnsafePackage as error:
                raise Invalid(f"The kept package cannot be previewed: {error.message}") from error
            except (BrokenPackage, BuildFailed, GitFailed, OSError) as error:
                raise Conflict(f"The preview could not be prepared: {error}") from error
            finally:
                await asyncio.to_thread(self._content.discard)
            return found


def _shown(request: Request, preview: dict[str, Any]) -> dict[str, Any]:
    """Give a preview the address under which the caller reaches it."""
    scheme, _, host = origin(request).partition("://")
    port = f":{host.rpartition(':')[2]}" if ":" in host.rpartition("]")[2] else ""
    times = {name: utc_text(datetime.fromtimestamp(preview[name], UTC)) for name in ("started", "expires")}
    return {
        "deployment": preview["deployment"],
        "id": preview["id"],
        "url": f"{scheme}://{preview['host']}{port}{preview['address']}",
        **times,
        "problem": preview["problem"],
        "note": _NOTE,
    }
