"""ARM mode: the same resources in the envelope of Azure's management API (Kudu reference §0.4)."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.http.address import raw_path
from homeport.scm.http.answers import json_answer

_GEO = "x-ms-geo-location"
_PROVIDER = "Microsoft.Web"


def is_arm(request: Request) -> bool:
    """Tell whether the request came through the management API; the header may be empty."""
    return _GEO in request.headers


def is_arm_agent(request: Request) -> bool:
    """Tell the clients that want 202 while any deployment runs: ARM itself and Azure DevOps (§4.3)."""
    agent = request.headers.get("user-agent", "")
    return "azure-resource-manager" in agent.lower() or "VSTS_" in agent


def envelope(request: Request, properties: Mapping[str, Any], *, item: str | None = None) -> dict[str, Any]:
    """Wrap one object; `item` is its name within a list."""
    path = _resource_path(request)
    identity = f"{path}/{item}" if item is not None else path
    names, types = _names(identity)
    return {
        "id": identity,
        "name": names,
        "type": types,
        "location": request.headers.get(_GEO, ""),
        "properties": dict(properties),
    }


def listing(request: Request, items: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Wrap named objects as a list."""
    return {"value": [envelope(request, properties, item=name) for name, properties in items]}


def arm_error(status: int, text: str, *, code: str) -> Response:
    """Answer an error in ARM's shape; `code` is the status' name (`Conflict`)."""
    return json_answer({"error": {"code": code, "message": text}}, status=status)


def site_address(request: Request) -> str:
    """Return the address of the site's resource: the referrer up to `/sites/<name>`."""
    referrer = request.headers.get("referer", "")
    path = referrer.split("?")[0]
    at = path.lower().find("/extensions/")
    return path[:at] if at >= 0 else path.rsplit("/", 1)[0]


def _resource_path(request: Request) -> str:
    referrer = request.headers.get("referer")
    path = urlsplit(referrer).path if referrer else raw_path(request)
    return path.rstrip("/")


def _names(identity: str) -> tuple[str, str]:
    """Rebuild name and type from the alternating segments after the provider."""
    parts = [part for part in identity.split("/") if part]
    if _PROVIDER not in parts:
        return (parts[-1] if parts else "", "")
    after = parts[parts.index(_PROVIDER) + 1 :]
    return "/".join(after[1::2]), "/".join([_PROVIDER, *after[0::2]])
