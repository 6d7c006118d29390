"""The control plane's side of the agent's API: HTTP over the agent's Unix socket."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from homeport.model.errors import (
    HomeportError,
    Unavailable,
)
from homeport.model.site import DesiredSite, InstalledRuntime
from homeport.node.agent_values import desired_site_to_json
from homeport.node.error_status import error_from_json, read_error
from homeport.node.local_api import Progress

_ANSWER_SECONDS = 10.0
_APPLY_SECONDS = 60.0
_DELETE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the agent sees: per site its processes, pools, findings and readiness, as JSON values.

    `missing` names the protections that the machine cannot give.
    """

    revision: int
    sites: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A Python that was put into a site, and what a person should know about it (empty: nothing)."""

    runtime: InstalledRuntime
    note: str


class AgentClient:
    """Speaks to one agent. Every method raises `Unavailable` when the agent does not answer."""

    def __init__(self, socket: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=_ANSWER_SECONDS)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def put_desired(self, revision: int, sites: Sequence[DesiredSite]) -> Mapping[str, str]:
        """Make these the desired sites; return the sites that could not be brought about, with the reason."""
        body = {"revision": revision, "sites": [desired_site_to_json(site) for site in sites]}
        answer = await self._call("PUT", "/desired", body=body, seconds=_APPLY_SECONDS)
        return dict(answer.get("problems") or {})

    async def observed(self, site: str | None = None) -> Observed:
        """Return what the agent sees now, of every site or of one."""
        only = f"?site={quote(site, safe='')}" if site else ""
        answer = await self._call("GET", f"/observed{only}")
        return Observed(
            revision=int(answer.get("revision", 0)),
            sites=answer.get("sites", {}),
            addresses=answer.get("addresses", {}),
            missing=tuple(answer.get("missing", ())),
        )

    async def metrics(self) -> tuple[list[dict[str, Any]], str]:
        """Return what was counted for each site and pool, and the text that Prometheus reads."""
        answer = await self._call("GET", "/metrics")
        return list(answer["counts"]), str(answer["text"])

    async def name_records(self, host: str) -> tuple[tuple[str, ...], str | None]:
        """Return the TXT records of `asuid.<host>`, and what the host is an alias of. Raises `Unavailable`."""
        answer = await self._call("GET", f"/names/{quote(host, safe='')}")
        return tuple(answer["texts"]), answer["alias"]

    async def restart(self, site: str) -> None:
        """Replace every process of a site. Raises `NotFound`."""
        await self._call("POST", f"/sites/{quote(site)}/restart")

    async def gallery(self) -> Sequence[Mapping[str, Any]]:
        """Return the Pythons that can be had, newest first."""
        entries: Sequence[Mapping[str, Any]] = (await self._call("GET", "/gallery"))["entries"]
        return entries

    async def install(self, site: str, runtime_id: str, *, policy: str, progress: Progress) -> Installation:
        """Put a Python into a site, reporting progress. Raises what the agent refuses it with."""
        body = {"id": runtime_id, "policy": policy}
        path = f"/sites/{quote(site)}/runtimes"
        async with self._answering(), self._http.stream("POST", path, json=body, timeout=None) as response:
            if response.is_error:
                raise _refusal(response.status_code, await response.aread())
            async for line in response.aiter_lines():
                event = json.loads(line)
                if "progress" in event:
                    progress(str(event["progress"]), float(event.get("fraction", 0.0)))
                elif "result" in event:
                    return _installation(event["result"])
                else:
                    raise error_from_json(event, otherwise="The agent gave no reason.", code="AgentFailed")
        raise Unavailable(
            "The agent ended before the installation was done; try again.", code="AgentUnavailable"
        )

    async def remove_runtime(self, site: str, folder: str) -> None:
        """Delete a Python and the packages installed into it. Raises `NotFound`."""
        path = f"/sites/{quote(site)}/runtimes/{quote(folder, safe='')}"
        await self._call("DELETE", path, seconds=_DELETE_SECONDS)

    async def delete_home(self, site: str) -> None:
        """Delete the files of a site that is no longer desired. Raises `NotFound` when there are none."""
        await self._call("DELETE", f"/sites/{quote(site)}", seconds=_DELETE_SECONDS)

    async def _call(
        self, method: str, path: str, *, body: object = None, seconds: float = _ANSWER_SECONDS
    ) -> Mapping[str, Any]:
        async with self._answering():
            response = await self._http.request(method, path, json=body, timeout=seconds)
            if response.is_error:
                raise _refusal(response.status_code, response.content)
            answer: Mapping[str, Any] = response.json() if response.content else {}
            return answer

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise Unavailable(
                "The agent does not answer; it is started again by itself, try again in a few seconds.",
                code="AgentUnavailable",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"The agent's answer is not readable: {error!r}.", code="AgentUnavailable"
            ) from error


def _installation(value: Mapping[str, Any]) -> Installation:
    names = ("folder", "id", "version", "build", "base")
    runtime = InstalledRuntime(**{name: str(value[name]) for name in names})
    return Installation(runtime=runtime, note=str(value.get("note") or ""))


def _refusal(status: int, content: bytes) -> HomeportError:
    otherwise = f"The agent failed with status {status}; see logs/agent.log in the data folder."
    return read_error(status, content, otherwise=otherwise, code="AgentFailed")
