"""What is refused before any route: requests forged by other sites' pages, readers beyond their rights.

A browser that once signed in sends the credentials with every request, so a page elsewhere could post a package;
Kudu left that to its front end (Kudu reference §11.2). Here the SCM app itself compares the origin as well.
"""

import re
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from homeport.scm.http.address import origin, raw_path
from homeport.scm.http.answers import message, nothing

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = frozenset({"same-origin", "none"})
_READABLE = re.compile(
    r"/api/(?:siteextensions(?:/.*)?"
    r"|functions(?:/(?!admin)[^/]+)?"
    r"|deployments(?:/[^/]+){0,2}"
    r"|(?:processes|webjobs|triggeredwebjobs|continuouswebjobs)(?:/[^/]+)?)/?",
    re.IGNORECASE,
)


def refusal(request: Request) -> Response | None:
    """Return the answer to a request that no handler may see, None for the rest."""
    if request.method not in _SAFE and is_forged(request):
        return message(
            403, "The request comes from a page of another site; use this site's own pages or a client."
        )
    if request.method == "GET" and _reader(request) and not _READABLE.fullmatch(raw_path(request)):
        return nothing(401)
    return None


def is_forged(request: HTTPConnection) -> bool:
    """Tell a request or WebSocket that a page of another origin makes with its reader's credentials."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in _OWN:
        return True
    sender = request.headers.get("origin")
    return sender is not None and urlsplit(sender).netloc != urlsplit(origin(request)).netloc


def _reader(request: Request) -> bool:
    """Tell a caller that came through the management API with no more than the right to read."""
    headers = request.headers
    return (
        "x-ms-via-extensions-route" in headers
        and headers.get("x-ms-client-authorization-source", "").lower() != "legacy"
        and headers.get("x-ms-client-rolebased-contributor") != "1"
    )
