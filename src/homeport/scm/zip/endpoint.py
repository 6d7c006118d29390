"""The verbs of `/api/zip` (Kudu reference §3.1)."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from homeport.model.errors import Invalid
from homeport.scm.deployments.archive import BrokenPackage, bounds_from
from homeport.scm.deployments.fetching import Unreachable, fetch_package, is_package_address
from homeport.scm.http.address import origin, query_suffix, raw_path
from homeport.scm.http.answers import exception_detail, json_answer, message, nothing
from homeport.scm.http.arm import arm_error, is_arm, is_arm_agent
from homeport.scm.http.bodies import discard_body, is_json, json_object, store_body
from homeport.scm.http.query import query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders
from homeport.scm.vfs.places import Place, Places
from homeport.scm.zip.streaming import Entry, tree_entries, zip_pieces
from homeport.scm.zip.unpacking import staging_folder, unpack_over

_HTTP_SECONDS = 100


class ZipEndpoint:
    """Folders as zips: GET packs one, PUT unpacks over one."""

    def __init__(
        self,
        options: ScmOptions,
        *,
        places: Places,
        providers: SettingsProviders,
        is_packaged: Callable[[Path], bool],
    ) -> None:
        """`is_packaged` tells of a path whether it comes from a package that the site runs from."""
        self._staging = options.home / "data/.homeport/zip"
        self._home = options.home
        self._places = places
        self._is_packaged = is_packaged
        self._providers = providers

    async def read(self, request: Request) -> Response:
        """GET and HEAD of a folder: its content as an archive, made while it is sent."""
        place = self._places.find(request.path_params["path"])
        if place.status() is None:
            return message(404, f"'{place.shown}' not found.")
        if not place.is_folder():
            return nothing(404)
        if not raw_path(request).endswith("/"):
            return nothing(
                307, headers={"location": f"{origin(request)}{raw_path(request)}/{query_suffix(request)}"}
            )
        name = query_text(request, "fileName") or f"{place.path.name or 'home'}.zip"
        # What waits for its own deletion is nobody's content.
        hidden = frozenset({"data/.homeport"}) if place.is_root else frozenset[str]()
        return zip_answer(request, tree_entries(place.target, leave_out=hidden), name=name)

    async def write(self, request: Request) -> Response:
        """PUT: unpack the body, or the package that a JSON body names, over the folder."""
        place = self._places.find(request.path_params["path"])
        if not place.is_folder() and not raw_path(request).endswith("/"):
            await discard_body(request)
            return nothing(404)
        body = await json_object(request) if is_json(request) else None
        try:
            with staging_folder(self._staging) as staging:
                package = staging / "package.zip"
                if body is None:
                    with package.open("xb") as file:
                        await store_body(request, file)
                else:
                    place = await self._fetch(request, _properties(request, body), place, package)
                if self._is_packaged(place.target):
                    return message(409, f"'{place.shown}' comes from the package that the site runs from.")
                bounds = bounds_from(self._providers.current())
                await asyncio.to_thread(unpack_over, package, place.target, bounds=bounds, staging=staging)
        except (BrokenPackage, Unreachable, OSError, Invalid) as error:
            return _refused(request, error)
        if body is not None and is_arm_agent(request):
            return json_answer({**body, "provisioningState": "Succeeded"})
        return nothing(200)

    async def _fetch(self, request: Request, body: dict[str, object], place: Place, package: Path) -> Place:
        address = body.get("packageUri")
        if not isinstance(address, str) or not is_package_address(address):
            raise Invalid("Value for 'packageUri' is not valid: give an absolute http or https address.")
        seconds = self._providers.current().number("SCM_HTTPCLIENT_TIMEOUT", default=_HTTP_SECONDS)
        fetch = partial(fetch_package, address, package, timeout_seconds=seconds, checkpoint=lambda: None)
        await asyncio.to_thread(fetch)
        below = str(body.get("path") or "").replace("\\", "/").strip("/")
        return self._places.find(f"{request.path_params['path']}/{below}") if below else place


def zip_answer(request: Request, entries: Iterator[Entry], *, name: str) -> Response:
    """Answer with an archive; its length is not known beforehand. A HEAD gets the headers alone."""
    plain = "".join(
        character if " " <= character < "\x7f" and character not in '"\\' else "_" for character in name
    )
    disposition = f'attachment; filename="{plain}"' if " " in plain else f"attachment; filename={plain}"
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {"content-type": "application/zip", "content-disposition": disposition}
    if request.method == "HEAD":
        return nothing(200, headers=headers)
    return StreamingResponse(zip_pieces(entries), headers=headers)


def _properties(request: Request, body: dict[str, object]) -> dict[str, object]:
    inner = body.get("properties")
    return inner if is_arm(request) and isinstance(inner, dict) else body


def _refused(request: Request, error: Exception) -> Response:
    text = error.message if isinstance(error, Invalid) else str(error)
    if is_arm(request):
        return arm_error(400, text, code="BadRequest")
    return message(400, text) if isinstance(error, Invalid) else exception_detail(400, error)
