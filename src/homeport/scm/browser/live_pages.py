"""The pages about what is going on: logs, deployments, processes, site extensions (Kudu reference §10.3)."""

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.agent_channel import AgentChannel
from homeport.scm.browser.folders import size_text
from homeport.scm.browser.process_tree import process_tree
from homeport.scm.browser.rendering import Renderer
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.http.answers import json_answer
from homeport.scm.http.query import query_flag
from homeport.scm.log_files import newest_log_files
from homeport.scm.options import ScmOptions

_MOST_FILES = 30
_ID = re.compile(r"python[0-9a-z]+", re.IGNORECASE)


class LivePages:
    """Answers with pages that scripts keep up to date; without scripts they tell how it is now."""

    def __init__(self, options: ScmOptions, *, store: DeploymentStore, channel: AgentChannel) -> None:
        self._options = options
        self._store = store
        self._channel = channel
        self._renderer = Renderer(options)

    async def log_stream(self, request: Request) -> Response:
        """GET `/LogStream`."""
        root = self._options.home / "LogFiles"
        found = await asyncio.to_thread(newest_log_files, root, most=_MOST_FILES)
        files = [(str(path.relative_to(root)), size_text(size)) for path, size in found]
        return self._renderer.page(request, "logstream.html", files=files)

    async def deployments(self, request: Request) -> Response:
        """GET `/DeploymentCenter`."""
        await asyncio.to_thread(self._store.tidy)
        records = await asyncio.to_thread(self._store.records)
        return self._renderer.page(
            request,
            "deployments.html",
            records=records,
            active=self._store.active(),
            running=any(not record.complete for record in records),
        )

    async def deployment(self, request: Request) -> Response:
        """GET `/DeploymentCenter/{id}`: one deployment and its log, or with `fragment=true` its changing part alone."""
        identity = request.path_params["id"]
        await asyncio.to_thread(self._store.tidy)
        record = self._store.read(identity)
        log = self._store.log(identity) if record else None
        entries = await asyncio.to_thread(log.read) if log and log.exists() else []
        template = "deployment_state.html" if query_flag(request, "fragment") else "deployment.html"
        return self._renderer.page(
            request,
            template,
            status=200 if record else 404,
            record=record,
            entries=entries,
            active=self._store.active(),
        )

    async def zip_push(self, request: Request) -> Response:
        """GET `/ZipDeployUI`."""
        return self._renderer.page(request, "zippush.html")

    async def processes(self, request: Request) -> Response:
        """GET `/ProcessExplorer`."""
        rows = process_tree(await self._channel.ask("processes"))
        return self._renderer.page(request, "processes.html", rows=rows, size_text=size_text)

    async def processes_json(self, _request: Request) -> Response:
        """GET `/api/homeport/processes`: the rows of the process explorer."""
        return json_answer(process_tree(await self._channel.ask("processes")))

    async def extensions(self, request: Request) -> Response:
        """GET `/SiteExtensions`."""
        return self._renderer.page(request, "extensions.html")

    async def extension(self, request: Request) -> Response:
        """GET `/SiteExtensions/{id}`: where an extension is, and a web.config that uses it."""
        identity = request.path_params["id"]
        python = self._options.home / identity / "bin/python"
        return self._renderer.page(
            request,
            "extension.html",
            id=identity,
            is_python=_ID.fullmatch(identity) is not None and python.exists(),
            folder=rf"D:\home\{identity}",
        )
