"""`/api/diagnostics/settings`: switches and levels of application logging (Kudu reference §5.5)."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.atomic_file import read_small, replace_file
from homeport.scm.http.answers import exception_detail, json_answer, message, nothing
from homeport.scm.http.bodies import json_object

DEFAULTS: Final[Mapping[str, bool | str]] = {
    "AzureDriveEnabled": False,
    "AzureDriveTraceLevel": "Error",
    "AzureTableEnabled": False,
    "AzureTableTraceLevel": "Error",
    "AzureBlobEnabled": False,
    "AzureBlobTraceLevel": "Error",
}
_LEVELS = ("Error", "Warning", "Information", "Verbose")
_MOST_BYTES = 1024 * 1024


class BadValue(ValueError):
    """A value that its setting cannot hold (Kudu answers 500)."""


class DiagnosticsSettings:
    """The file `site/diagnostics/settings.json` as a mapping that always shows the six defaults."""

    def __init__(self, home: Path) -> None:
        self._path = home / "site/diagnostics/settings.json"

    def read(self) -> dict[str, object]:
        """Return all values; a file that is broken, empty or holds an impossible value is deleted."""
        data = read_small(self._path, limit=_MOST_BYTES)
        try:
            stored = {} if data is None else _stored(data)
        except (ValueError, RecursionError):
            with contextlib.suppress(OSError):
                self._path.unlink()
            stored = {}
        return {**DEFAULTS, **stored}

    def change(self, values: Mapping[str, object]) -> None:
        """Merge values into the file. Raises `BadValue` for one that is neither a switch nor a level."""
        kept = self.read()
        for name, value in values.items():
            spelled = _spelling(name)
            kept[spelled] = _converted(spelled, value)
        self._write(kept)

    def remove(self, name: str) -> None:
        """Forget a value, so that a default shows again."""
        kept = self.read()
        if kept.pop(_spelling(name), None) is not None:
            self._write(kept)

    def _write(self, values: Mapping[str, object]) -> None:
        replace_file(self._path, json.dumps(values, indent=2).encode())


class DiagnosticsSettingsEndpoint:
    """The calls of `/api/diagnostics/settings`."""

    def __init__(self, settings: DiagnosticsSettings) -> None:
        self._settings = settings

    async def read_all(self, _request: Request) -> Response:
        """GET: everything, the defaults included."""
        return json_answer(self._settings.read())

    async def read_one(self, request: Request) -> Response:
        """GET of one value; 404 where there is none."""
        name = request.path_params["key"]
        folded = name.casefold()
        found = next(
            (value for key, value in self._settings.read().items() if key.casefold() == folded), None
        )
        return (
            message(404, f"There is no diagnostics setting '{name}'.")
            if found is None
            else json_answer(found)
        )

    async def write(self, request: Request) -> Response:
        """POST: merge the object into what is stored."""
        try:
            self._settings.change(await json_object(request))
        except BadValue as error:
            return exception_detail(500, error)
        return nothing(204)

    async def delete(self, request: Request) -> Response:
        """DELETE: 204 whether or not it was there."""
        self._settings.remove(request.path_params["key"])
        return nothing(204)


def _stored(data: bytes) -> dict[str, object]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise BadValue("The file holds no object.")
    for name, stored in value.items():
        default = DEFAULTS.get(name)
        if isinstance(default, str) and stored not in _LEVELS:
            raise BadValue(f"'{name}' holds no level.")
        if isinstance(default, bool) and not isinstance(stored, bool):
            raise BadValue(f"'{name}' holds no switch.")
    return value


def _spelling(name: str) -> str:
    return next((known for known in DEFAULTS if known.casefold() == name.casefold()), name)


def _converted(name: str, value: object) -> object:
    default = DEFAULTS.get(name)
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        folded = str(value).strip().casefold()
        if folded not in {"true", "false"}:
            raise BadValue(f"The value {value!r} of '{name}' is neither true nor false.")
        return folded == "true"
    if isinstance(default, str):
        found = next((level for level in _LEVELS if level.casefold() == str(value).strip().casefold()), None)
        if found is None:
            raise BadValue(f"The value {value!r} of '{name}' is none of {', '.join(_LEVELS)}.")
        return found
    return value
