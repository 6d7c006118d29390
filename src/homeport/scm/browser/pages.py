"""The addresses of the pages, Kudu's old ones among them (Kudu reference §10)."""

import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Conflict, Forbidden, Invalid, NotFound
from homeport.scm.browser.environment import environment_sections
from homeport.scm.browser.folders import read_folder
from homeport.scm.browser.rendering import Renderer
from homeport.scm.commands.filesystem import LinuxFiles
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.failures import Failures
from homeport.scm.http.answers import json_answer, nothing
from homeport.scm.http.bodies import json_object
from homeport.scm.http.query import query_flag, query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders
from homeport.scm.vfs.places import Place, Places
from homeport.windows.programs import find_runtimes

_FEW = 5
_LONGEST_NAME = 255


class Pages:
    """Answers with pages; every page that only tells works without scripts."""

    def __init__(
        self, options: ScmOptions, *, providers: SettingsProviders, store: DeploymentStore, places: Places
    ) -> None:
        self._options = options
        self._providers = providers
        self._store = store
        self._places = places
        self._failures = Failures(options.home)
        self._renderer = Renderer(options)

    async def home(self, request: Request) -> Response:
        """GET `/`: where things are, what failed, what was deployed; `[]` for callers that name an API version (§10.1)."""
        if query_text(request, "api-version") is not None:
            return json_answer([])
        failures = await asyncio.to_thread(self._failures.newest)
        records = await asyncio.to_thread(self._store.records)
        return self._renderer.page(
            request,
            "home.html",
            facts=self._facts(),
            failures=failures[:_FEW],
            deployments=records[:_FEW],
            active=self._store.active(),
        )

    async def failure(self, request: Request) -> Response:
        """GET `/failures/{id}`: one failure, traceback and all."""
        failure = await asyncio.to_thread(self._failures.read, request.path_params["id"])
        return self._renderer.page(
            request, "failure.html", failure=failure, status=404 if failure is None else 200
        )

    async def console(self, request: Request) -> Response:
        """GET `/DebugConsole`, with `?shell=cmd|powershell|bash` and `?path=` of the folder to start in."""
        asked = (query_text(request, "shell") or "cmd").lower()
        url_path = query_text(request, "path") or ""
        place = self._folder(url_path)
        return self._renderer.page(
            request,
            "console.html",
            inline_styles=True,
            shell="bash" if asked == "bash" else "cmd",
            powershell=asked == "powershell",
            folder=await asyncio.to_thread(read_folder, place, url_path),
            search="",
            directory=str(place.target),
            home=str(self._options.home),
        )

    async def files(self, request: Request) -> Response:
        """GET `/files/…`: a folder as a page, or with `fragment=true` its table alone; `search` looks below it."""
        url_path = request.path_params["path"]
        place = self._folder(url_path)
        search = (query_text(request, "search") or "").strip()
        folder = await asyncio.to_thread(read_folder, place, url_path, search=search)
        template = "folder.html" if query_flag(request, "fragment") else "files.html"
        return self._renderer.page(
            request, template, folder=folder, search=search, directory=str(place.target)
        )

    async def rename(self, request: Request) -> Response:
        """POST `/api/homeport/rename` with `{"from", "to"}` (URL paths below home): 204; 409 where a name is taken."""
        body = await json_object(request)
        source, target = (self._movable(body.get(name)) for name in ("from", "to"))
        if source.status() is None and not source.is_link():
            raise NotFound(f"'{source.shown}' not found.")
        if os.path.lexists(target.path):
            raise Conflict(f"'{target.shown}' exists already; nothing was renamed.")
        try:
            await asyncio.to_thread(source.path.rename, target.path)
        except OSError as error:
            raise Conflict(f"'{source.shown}' cannot become '{target.shown}': {error.strerror}.") from error
        return nothing(204)

    async def environment(self, request: Request) -> Response:
        """GET `/Env`; `?values=true` shows the secrets too."""
        reveal = query_flag(request, "values")
        settings = await asyncio.to_thread(lambda: self._providers.current().all())
        sections = environment_sections(
            self._options.environment,
            settings,
            {name: value for name, value in request.headers.items() if name != "x-homeport-csrf"},
            system=self._facts(),
            reveal=reveal,
        )
        return self._renderer.page(request, "environment.html", sections=sections, reveal=reveal)

    async def redirect(self, request: Request) -> Response:
        """GET of an address that Kudu had and that leads to another page here."""
        return nothing(302, headers={"location": _MOVED[request.scope["path"].rstrip("/").lower()]})

    def _folder(self, url_path: str) -> Place:
        place = self._places.find(url_path)
        if not place.is_folder():
            raise NotFound(f"'{place.shown}' is not a folder.")
        return place

    def _movable(self, value: object) -> Place:
        if not isinstance(value, str) or not value.strip("/"):
            raise Invalid("Name the file by 'from' and 'to', each a path below home.")
        if len(os.fsencode(value.rstrip("/").rpartition("/")[2])) > _LONGEST_NAME:
            raise Invalid(f"A name has at most {_LONGEST_NAME} bytes.")
        place = self._places.find(value, follow=False)
        if place.is_root:
            raise Forbidden(f"'{place.shown}' is a root and keeps its name.")
        return place

    def _facts(self) -> dict[str, str]:
        layout = self._options.layout
        runtimes = find_runtimes(layout, LinuxFiles())
        return {
            "Site": self._options.site,
            "Address": self._options.hostname,
            "Site folder": self._places.shown(self._options.home),
            "Content": self._places.shown(self._options.web_root),
            "Temporary folder": self._places.shown(self._options.temporary),
            "Pythons": ", ".join(self._places.shown(Path(runtime.folder)) for runtime in runtimes)
            or "none yet",
            "System": f"{platform.system()} {platform.release()}, {os.cpu_count()} processors",
            "SCM site": f"Homeport {_version()} on Python {platform.python_version()}, started {_started()}",
        }


_MOVED = {
    "/env.cshtml": "/Env",
    "/logstream.cshtml": "/LogStream",
    "/default.cshtml": "/",
    "/basicauth": "/",
    "/logout": "/.homeport/sign-out",
    "/support": "/",
    "/webssh": "/DebugConsole?shell=bash",
    "/webssh/host": "/DebugConsole?shell=bash",
    "/newui": "/DebugConsole",
}
MOVED = tuple(_MOVED)
"""Addresses that people have bookmarked, each led to its page."""


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("homeport")
    except PackageNotFoundError:
        return ""


def _started() -> str:
    import psutil

    return f"{datetime.fromtimestamp(psutil.Process().create_time(), UTC):%Y-%m-%d %H:%M:%S} UTC"
