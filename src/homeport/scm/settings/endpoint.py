"""The calls of `/api/settings` (Kudu reference §5.1)."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Invalid
from homeport.scm.deployments.lock import DeploymentLock, LockHeld
from homeport.scm.http.answers import json_answer, message, nothing
from homeport.scm.http.bodies import json_object
from homeport.scm.settings.stack import SettingsProviders, setting_text

_LEGACY = {"key", "value"}
_POST_WAIT_SECONDS = 5.0


class SettingsEndpoint:
    """Answers for the site's settings; writing needs the deployment lock."""

    def __init__(self, providers: SettingsProviders, *, lock: DeploymentLock) -> None:
        self._providers = providers
        self._lock = lock

    async def read_all(self, _request: Request) -> Response:
        """GET: every merged setting."""
        return json_answer(self._providers.current().all())

    async def read_one(self, request: Request) -> Response:
        """GET of one key: its text, 404 where it is unknown or empty."""
        key = request.path_params["key"]
        value = self._providers.current().get(key)
        if value is None:
            return message(404, f"There is no setting '{key}'.")
        return json_answer(value)

    async def write(self, request: Request) -> Response:
        """POST: several keys, or the legacy form with exactly `key` and `value`."""
        body = await json_object(request)
        if body.keys() == _LEGACY:
            key = body["key"]
            if not isinstance(key, str) or not key:
                raise Invalid("'key' is empty: name the setting.", code="SettingKey")
            body = {key: body["value"]}
        values = {name: setting_text(value) for name, value in body.items()}
        return await self._changed(lambda: self._providers.site.change(values), wait=_POST_WAIT_SECONDS)

    async def delete(self, request: Request) -> Response:
        """DELETE: forget the site's own value; an app setting of that name shows again."""
        key = request.path_params["key"]
        return await self._changed(lambda: self._providers.site.remove(key), wait=0.0)

    async def _changed(self, change: Callable[[], None], *, wait: float) -> Response:
        try:
            held = await self._lock.wait("Updating deployment settings", seconds=wait)
        except LockHeld as error:
            return message(409, error.message)
        with held:
            change()
        return nothing(204)
