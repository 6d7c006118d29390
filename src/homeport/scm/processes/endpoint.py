"""The calls of `/api/processes` (Kudu reference §6)."""

import io
import re
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import HomeportError, Invalid, NotFound
from homeport.scm.agent_channel import AgentChannel
from homeport.scm.http.address import origin
from homeport.scm.http.answers import homeport_error, json_answer, message, nothing
from homeport.scm.http.arm import arm_error, envelope, is_arm, listing
from homeport.scm.http.query import query_text
from homeport.scm.options import ScmOptions
from homeport.scm.processes.shapes import (
    base_address,
    detail,
    filtered_environment,
    list_entry,
    module_detail,
    module_entry,
    process_name,
    readable_environment,
    thread_detail,
    thread_entry,
)

_NUMBER = re.compile(r"-?\d{1,10}")
_SHORT_INSTANCE = 6
_MINIDUMP, _FULL_DUMP = "0", "2"


class ProcessesEndpoint:
    """Answers for the processes of one site; the agent looks at them and acts on them."""

    def __init__(self, options: ScmOptions, channel: AgentChannel) -> None:
        self._options = options
        self._channel = channel
        self._machine = options.environment.get("COMPUTERNAME", "homeport")

    async def list(self, request: Request) -> Response:
        """GET: all processes of the site, by name; `allUsers` changes nothing, other sites' are never shown."""
        found = await self._channel.ask("processes")
        base = _base(request)
        entries = [
            list_entry(facts, base=base, machine=self._machine, user=self._options.site) for facts in found
        ]
        entries.sort(key=lambda entry: (str(entry["name"]).casefold(), entry["id"]))
        if is_arm(request):
            return json_answer(listing(request, [(str(entry["id"]), entry) for entry in entries]))
        return json_answer(entries)

    async def read(self, request: Request) -> Response:
        """GET of one process in full."""
        try:
            facts = await self._facts(request)
        except NotFound as error:
            return _missing(request, error)
        body = detail(
            facts,
            await self._channel.ask("processes"),
            base=_base(request),
            machine=self._machine,
            user=self._options.site,
            now=datetime.now(UTC),
            everything=_sees_everything(request),
        )
        return json_answer(envelope(request, body) if is_arm(request) else body)

    async def kill(self, request: Request) -> Response:
        """DELETE, or POST to `/stop`: end the process and all below it; 0 and -1 are restarted by the platform."""
        try:
            await self._channel.ask("kill", id=_number(request))
        except NotFound as error:
            return _missing(request, error)
        return nothing(204)

    async def dump(self, request: Request) -> Response:
        """GET: the Python stacks of every thread as an attachment; `dumpType=2` with the local variables."""
        wanted = (query_text(request, "format") or "raw").casefold()
        if wanted not in {"raw", "zip"}:
            return message(400, f"The dump format '{wanted}' is not supported: use raw or zip.")
        values = _dump_type(query_text(request, "dumpType"))
        facts = await self._facts(request)
        stacks = (await self._channel.ask("stacks", id=facts["pid"], values=values))["stacks"]
        short = self._options.instance[:_SHORT_INSTANCE] or self._machine
        stem = f"{process_name(facts)}-{short}-{datetime.now(UTC):%m-%d-%H-%M-%S}"
        name, kind, data = f"{stem}.txt", "text/plain; charset=utf-8", str(stacks).encode("utf-8", "replace")
        if wanted == "zip":
            name, kind, data = f"{stem}.zip", "application/zip", _zipped(name, data)
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        return Response(
            data,
            headers={
                "content-type": kind,
                "content-disposition": f"attachment; filename={plain}",
                "x-content-type-options": "nosniff",
            },
        )

    async def threads(self, request: Request) -> Response:
        """GET: the threads of a process."""
        facts = await self._facts(request)
        href = f"{_base(request)}/{facts['pid']}"
        return json_answer([thread_entry(thread, href=href) for thread in facts["thread_list"]])

    async def thread(self, request: Request) -> Response:
        """GET of one thread; 404 without a body where there is none."""
        facts = await self._facts(request)
        href, wanted = f"{_base(request)}/{facts['pid']}", request.path_params["thread"]
        found = next((thread for thread in facts["thread_list"] if str(thread["id"]) == wanted), None)
        return nothing(404) if found is None else json_answer(thread_detail(found, href=href))

    async def modules(self, request: Request) -> Response:
        """GET: the programs and libraries that a process has mapped."""
        facts = await self._facts(request)
        href = f"{_base(request)}/{facts['pid']}"
        return json_answer([module_entry(module, href=href) for module in facts["modules"]])

    async def module(self, request: Request) -> Response:
        """GET of one by its address; 404 without a body where there is none."""
        facts = await self._facts(request)
        wanted = request.path_params["address"].lower().removeprefix("0x").lstrip("0")
        found = next((module for module in facts["modules"] if base_address(module) == wanted), None)
        href = f"{_base(request)}/{facts['pid']}"
        return nothing(404) if found is None else json_answer(module_detail(found, href=href))

    async def environment(self, request: Request) -> Response:
        """GET: a flat object of the variables whose name holds the filter."""
        facts = await self._facts(request)
        environment = facts["environment"]
        if not _sees_everything(request):
            environment = readable_environment(environment)
        return json_answer(filtered_environment(environment, request.path_params["filter"]))

    async def _facts(self, request: Request) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = await self._channel.ask("process", id=_number(request))
        return facts


def _number(request: Request) -> int:
    text = request.path_params["id"]
    if not _NUMBER.fullmatch(text) or not -1 <= int(text) < 2**31:
        raise NotFound(f"Process with an Id of {text[:40]} is not running.")
    return int(text)


def _base(request: Request) -> str:
    return f"{origin(request)}/api/processes"


def _sees_everything(request: Request) -> bool:
    """Callers through the management API may be readers: they see no app setting (§6, §11.2)."""
    return not is_arm(request) and "x-ms-via-extensions-route" not in request.headers


def _dump_type(text: str | None) -> bool:
    if text in {None, "", _MINIDUMP}:
        return False
    if text == _FULL_DUMP:
        return True
    raise Invalid(f"The dump type '{text}' is not supported: 0 gives stacks, 2 stacks with local variables.")


def _missing(request: Request, error: HomeportError) -> Response:
    return arm_error(404, error.message, code="NotFound") if is_arm(request) else homeport_error(error)


def _zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()
