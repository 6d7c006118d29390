"""The verbs of `/api/vfs` (Kudu reference §2.1, §2.4, §2.5)."""

import asyncio
import os
import shutil
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Invalid
from homeport.scm.http.address import origin, page_address, query_suffix, raw_path
from homeport.scm.http.answers import exception_detail, json_answer, message, nothing
from homeport.scm.http.bodies import discard_body
from homeport.scm.http.query import query_flag
from homeport.scm.vfs.conditions import entity_tag, matches
from homeport.scm.vfs.listing import list_folder
from homeport.scm.vfs.places import Place, Places
from homeport.scm.vfs.reading import file_answer
from homeport.scm.vfs.writing import make_folders, write_file


class VfsEndpoint:
    """Answers for the files below home and the special roots."""

    def __init__(self, places: Places, *, is_packaged: Callable[[Path], bool] = lambda _path: False) -> None:
        """`is_packaged` tells of a path whether it comes from a package that the site runs from."""
        self._places = places
        self._is_packaged = is_packaged

    async def read(self, request: Request) -> Response:
        """GET and HEAD: a file, a folder's listing, or the redirect to the form with or without slash."""
        place = self._places.find(request.path_params["path"])
        slash = _has_slash(request)
        if place.status() is None:
            return _missing(place)
        if place.is_folder() != slash:
            return _redirect(request, slash=not slash)
        if not slash:
            return file_answer(request, place)
        try:
            entries = await asyncio.to_thread(
                list_folder, self._places, place, address=page_address(request), query=query_suffix(request)
            )
        except OSError as error:
            return message(500, f"'{place.shown}' cannot be listed: {_reason(error)}.")
        return json_answer(entries)

    async def write(self, request: Request) -> Response:
        """PUT: a new file, a new version of one, or a new folder."""
        place = self._places.find(request.path_params["path"])
        if self._is_packaged(place.path):
            await discard_body(request)
            return _packaged(place)
        found = place.status()
        if place.is_folder():
            await discard_body(request)
            return message(
                409, f"The resource '{place.shown}' represents a directory which can not be updated."
            )
        if _has_slash(request):
            await discard_body(request)
            return _make_folder(place)
        if found is not None:
            tag = entity_tag(found.st_mtime_ns)
            if not matches(request.headers.get("if-match"), tag):
                await discard_body(request)
                return _stale(place, tag)
        try:
            written = await write_file(request, place.target)
        except (OSError, Invalid) as error:
            text = error.message if isinstance(error, Invalid) else _reason(error)
            return message(409, f"Could not write to local resource '{place.shown}' due to error '{text}'.")
        return nothing(201 if found is None else 204, headers=_validators(written))

    async def delete(self, request: Request) -> Response:
        """DELETE: a file with its tag, an empty folder, a whole tree with `recursive=true`."""
        recursive = query_flag(request, "recursive")
        place = self._places.find(request.path_params["path"], follow=False)
        if self._is_packaged(place.path):
            return _packaged(place)
        found = place.status()
        if found is None and not place.is_link():
            return _missing(place)
        if place.is_folder():
            return await asyncio.to_thread(_delete_folder, place, recursive=recursive)
        if _has_slash(request):
            return _redirect(request, slash=False)
        found = found or place.path.lstat()
        tag = entity_tag(found.st_mtime_ns)
        if not matches(request.headers.get("if-match"), tag):
            return _stale(place, tag)
        try:
            place.path.unlink()
        except OSError as error:
            return exception_detail(404, error)
        return nothing(200)


def _has_slash(request: Request) -> bool:
    return raw_path(request).endswith("/")


def _packaged(place: Place) -> Response:
    return message(
        409,
        f"'{place.shown}' comes from a package and is read-only (WEBSITE_RUN_FROM_PACKAGE): deploy another package.",
    )


def _missing(place: Place) -> Response:
    return message(404, f"'{place.shown}' not found.")


def _redirect(request: Request, *, slash: bool) -> Response:
    path = raw_path(request).rstrip("/") + ("/" if slash else "")
    return nothing(307, headers={"location": origin(request) + path + query_suffix(request)})


def _stale(place: Place, tag: str) -> Response:
    text = f"'{place.shown}' exists; send 'If-Match' with its current ETag, or '*', to change it."
    return message(412, text, headers={"etag": tag})


def _make_folder(place: Place) -> Response:
    try:
        made = make_folders(place.target)
    except OSError as error:
        return message(409, f"Could not create directory '{place.shown}' due to error '{_reason(error)}'.")
    if not made:
        return message(409, f"Could not create directory '{place.shown}': a file has that name.")
    return nothing(201)


def _delete_folder(place: Place, *, recursive: bool) -> Response:
    if place.is_root:
        return message(409, f"'{place.shown}' is a root and cannot be deleted; delete what is in it.")
    try:
        if place.is_link():
            place.path.unlink()
        elif recursive:
            shutil.rmtree(place.path)
        else:
            place.path.rmdir()
    except OSError as error:
        return message(409, f"Cannot delete directory '{place.shown}': {_reason(error)}.")
    return nothing(200)


def _validators(found: os.stat_result) -> dict[str, str]:
    return {
        "etag": entity_tag(found.st_mtime_ns),
        "last-modified": formatdate(found.st_mtime, usegmt=True),
    }


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
