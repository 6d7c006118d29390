"""Kudu's routes: matched on the path as sent, without case; a wrong verb is a route that does not exist.

Kudu reference §0.3 and §0.6.
"""

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.http.address import query_suffix, raw_path
from homeport.scm.http.answers import json_answer, nothing

Endpoint = Callable[[Request], Awaitable[Response]]
_PLACE = re.compile(r"\{(\w+)(\*?)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the table: what it matches and who answers. An empty `verbs` lets every verb in."""

    pattern: re.Pattern[str]
    verbs: frozenset[str]
    endpoint: Endpoint


def route(template: str, endpoint: Endpoint, *, verbs: str = "GET", alias: bool = False) -> Route:
    """Make a route from `/api/x/{name}` or `/api/x{rest*}`; with `alias` the same without `/api` too.

    `verbs` are separated by spaces. A `{rest*}` takes everything that follows, its first slash included.
    """
    prefix = "/api"
    head = "(?:/api)?" if alias else "/api"
    if not template.startswith(f"{prefix}/"):
        head, prefix = "", ""
    pieces, position = [head], len(prefix)
    for place in _PLACE.finditer(template):
        pieces.append(re.escape(template[position : place.start()]))
        pieces.append(f"(?P<{place[1]}>{'(?:/.*)?' if place[2] else '[^/]+'})")
        position = place.end()
    pieces.append(re.escape(template[position:]))
    tail = "" if template.endswith("*}") else "/?"
    pattern = re.compile("".join(pieces) + tail, re.IGNORECASE | re.DOTALL)
    return Route(pattern=pattern, verbs=frozenset(verbs.split()), endpoint=endpoint)


def find(routes: Sequence[Route], request: Request) -> Endpoint:
    """Return who answers the request and put the decoded places into its `path_params`."""
    path = raw_path(request)
    for candidate in routes:
        match = candidate.pattern.fullmatch(path)
        if match and (request.method in candidate.verbs or not candidate.verbs):
            request.scope["path_params"] = {
                name: os.fsdecode(unquote_to_bytes(value or "")) for name, value in match.groupdict().items()
            }
            return candidate.endpoint
    return _unknown


async def _unknown(request: Request) -> Response:
    if request.method in {"HEAD", "OPTIONS"}:
        return nothing(405)
    return json_answer(f"No route registered for '{raw_path(request)}{query_suffix(request)}'", status=404)
