"""The agent's way to the control plane: what a site asks for and only the control plane can remember.

The control plane knows which Pythons a site has, so an installation that a site asks for goes through it, as one from
the command line does, and comes back to this agent as an order.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homeport.model.errors import HomeportError, Unavailable
from homeport.node.error_status import error_from_json, read_error
from homeport.node.local_api import Progress

_REMOVE_SECONDS = 330.0
_AWAY = "The control plane does not answer; try again in a few seconds."
_AWAY_CODE = "ControlUnavailable"


class ControlPlane:
    """Speaks to the control plane's API. Every method raises `Unavailable` when it is away."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def install(self, site: str, extension_id: str, *, progress: Progress) -> Mapping[str, Any]:
        """Have a Python put into a site and return its record. Raises what it is refused with."""
        import httpx

        body = {"id": extension_id}
        path = f"/sites/{quote(site)}/extensions"
        try:
            async with self._client() as http, http.stream("POST", path, json=body, timeout=None) as response:
                if response.is_error:
                    raise _refusal(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    event = json.loads(line)
                    if "progress" in event:
                        progress(str(event["progress"]), float(event.get("fraction", 0.0)))
                    elif "result" in event:
                        result: Mapping[str, Any] = event["result"]
                        return result
                    else:
                        raise error_from_json(event, otherwise=_AWAY, code=_AWAY_CODE)
        except (httpx.TransportError, ValueError) as error:
            raise _away() from error
        raise _away()

    async def uninstall(self, site: str, extension_id: str) -> None:
        """Have a Python taken out of a site. Raises what it is refused with."""
        import httpx

        path = f"/sites/{quote(site)}/extensions/{quote(extension_id, safe='')}"
        try:
            async with self._client() as http:
                response = await http.delete(path, timeout=_REMOVE_SECONDS)
        except httpx.TransportError as error:
            raise _away() from error
        if response.is_error:
            raise _refusal(response.status_code, response.content)

    def _client(self) -> Any:
        import httpx

        transport = httpx.AsyncHTTPTransport(uds=str(self._socket))
        return httpx.AsyncClient(transport=transport, base_url="http://control", trust_env=False)


def _away() -> Unavailable:
    return Unavailable(_AWAY, code=_AWAY_CODE)


def _refusal(status: int, content: bytes) -> HomeportError:
    return read_error(status, content, otherwise=_AWAY, code=_AWAY_CODE)
