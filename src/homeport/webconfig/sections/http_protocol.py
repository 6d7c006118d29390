"""`<system.webServer><httpProtocol>` and `<webSocket>` (IIS reference §5.6, §5.9)."""

import re
from dataclasses import dataclass

from homeport.model.finding import Finding, Severity
from homeport.webconfig.document import Element
from homeport.webconfig.merging import merged
from homeport.webconfig.reading import Fault, Range, boolean, number, required_text, seconds, text
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
FRAMING_HEADERS = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "upgrade"}
)
"""Headers that the server writes itself for each answer; a second one would contradict it."""

_HEADERS = (
    ElementRow(name="add", attributes=full("name", "value")),
    ElementRow(name="remove", attributes=full("name")),
    ElementRow(name="clear"),
)
TABLE = ElementRow(
    name="httpProtocol",
    attributes=full("allowKeepAlive"),
    children=(
        ElementRow(
            name="customHeaders",
            support=Support.PARTIAL,
            note="Headers that frame an answer (Connection, Content-Length, Date, Server, …) stay the server's own.",
            children=_HEADERS,
        ),
        ElementRow(
            name="redirectHeaders",
            support=Support.PARTIAL,
            note="Added to the redirects of <httpRedirect> only.",
            children=_HEADERS,
        ),
    ),
)
WEB_SOCKET_TABLE = ElementRow(
    name="webSocket",
    attributes=(
        AttributeRow(
            name="enabled",
            note="The site's own switch is the setting WEBSITE_WEBSOCKETS_ENABLED; it is on unless it says 0, false or off, "
            "while App Service's 'Web sockets' is off by default.",
        ),
        AttributeRow(
            name="receiveBufferLimit", support=Support.PARTIAL, note="Messages are passed on as they come."
        ),
        AttributeRow(
            name="pingInterval", support=Support.ABSENT, note="The application sends its own pings."
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProtocol:
    """Headers (name, value) of every answer and of redirects, in the order in which they are written."""

    allow_keep_alive: bool = True
    custom_headers: tuple[tuple[str, str], ...] = ()
    redirect_headers: tuple[tuple[str, str], ...] = ()


def apply_http_protocol(section: Element, inherited: HttpProtocol) -> HttpProtocol:
    """Apply one section to what it inherits. Raises `Fault`."""
    custom, redirect = inherited.custom_headers, inherited.redirect_headers
    for collection in section.named("customHeaders"):
        custom = _headers(collection, custom)
    for collection in section.named("redirectHeaders"):
        redirect = _headers(collection, redirect)
    return HttpProtocol(
        allow_keep_alive=boolean(section, "allowKeepAlive", default=inherited.allow_keep_alive),
        custom_headers=custom,
        redirect_headers=redirect,
    )


def framing_headers(section: Element, *, file: str) -> list[Finding]:
    """Name the headers that are left out."""
    return [
        Finding(
            severity=Severity.WARNING,
            code="webconfig.not-honoured",
            message=f"The header '{add.get('name')}' is the server's own and is not set from web.config.",
            file=file,
            line=add.line,
        )
        for collection in section.children
        for add in collection.named("add")
        if (add.get("name") or "").lower() in FRAMING_HEADERS
    ]


def apply_web_socket(section: Element, inherited: bool) -> bool:  # noqa: FBT001 (a value, not a switch)
    """Tell whether the server takes WebSockets at this place. Raises `Fault`."""
    number(section, "receiveBufferLimit", default=4_194_304, within=Range(least=4096, most=2_147_483_647))
    seconds(section, "pingInterval", default=0)
    return boolean(section, "enabled", default=inherited)


def _headers(collection: Element, inherited: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return merged(
        collection,
        inherited,
        make=_header,
        key=lambda header: header[0].lower(),
        removed=lambda element: required_text(element, "name").lower(),
    )


def _header(element: Element) -> tuple[str, str]:
    name = required_text(element, "name")
    if not HEADER_NAME.fullmatch(name):
        raise Fault("invalid-value", f"'{name}' is no name of a header.", line=element.line)
    return name, text(element, "value")
