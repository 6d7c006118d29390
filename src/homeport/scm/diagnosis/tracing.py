"""`/trace` and `GET /api/homeport/trace?url=…&method=…`: the way of a request through this site's rules, for its owner."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import HomeportError, Invalid
from homeport.scm.agent_channel import AgentChannel
from homeport.scm.browser.rendering import Renderer
from homeport.scm.content import list_content
from homeport.scm.deployments.hosting import compile_content
from homeport.scm.http.answers import json_answer
from homeport.scm.http.query import query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders

_LONGEST = 16_384
_METHOD_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ-_")


class TraceEndpoint:
    """Follows requests that are never made: nothing of the site runs."""

    def __init__(self, options: ScmOptions, *, providers: SettingsProviders, channel: AgentChannel) -> None:
        self._options = options
        self._providers = providers
        self._channel = channel
        self._renderer = Renderer(options)

    async def trace(self, request: Request) -> Response:
        """Answer with the trace as JSON; `pool` has its state and processes where the agent knows them."""
        return json_answer(await self._found(*_asked(request)))

    async def page(self, request: Request) -> Response:
        """GET `/trace`: a form, and the trace of what was asked."""
        url, method = _asked(request)
        found = await self._found(url, method)
        return self._renderer.page(request, "trace.html", url=url, method=method, found=found)

    async def _found(self, url: str, method: str) -> dict[str, Any]:
        value = await asyncio.to_thread(self._traced, url, method)
        value["processes"] = await self._processes(str(value["pool"]))
        return value

    def _traced(self, url: str, method: str) -> dict[str, Any]:
        from homeport.webconfig.tracing import TracedRequest, trace_request  # late: XML is slow to load

        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        root = self._options.web_root
        plan, _ = compile_content(
            self._options.home,
            list_content(root),
            site=self._options.site,
            app_settings=self._providers.app,
        )
        found = trace_request(
            plan,
            TracedRequest(
                method=method,
                target=target if target.startswith("/") else f"/{target}",
                headers={"host": parts.netloc or self._options.hostname},
                secure=parts.scheme == "https",
                is_file=_test(root, Path.is_file),
                is_directory=_test(root, Path.is_dir),
            ),
        )
        return asdict(found)

    async def _processes(self, pool: str) -> list[Mapping[str, Any]]:
        if not pool:
            return []
        try:
            hosting = await self._channel.ask("hosting")
        except HomeportError:
            return []
        return [each for each in hosting.get("processes", ()) if each.get("pool") == pool]


def _asked(request: Request) -> tuple[str, str]:
    url = query_text(request, "url") or "/"
    method = (query_text(request, "method") or "GET").upper()
    if len(url) > _LONGEST or not method or not set(method) <= _METHOD_LETTERS:
        raise Invalid("Name a URL or a path by 'url', and a verb such as GET by 'method'.")
    return url, method


def _test(root: Path, look: Callable[[Path], bool]) -> Callable[[str], bool]:
    """Make a test of paths below the content folder; what leads out of it is nothing."""

    def holds(path: str) -> bool:
        if ".." in path.split("/") or "\0" in path:
            return False
        try:
            return look(root / path)
        except OSError:
            return False

    return holds
