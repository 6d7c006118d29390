"""Who may ask, and who is sent elsewhere: `<ipSecurity>`, `<access>`, `<authorization>`, `<httpRedirect>`."""

import re
from collections.abc import Sequence

from homeport.node.nginx.error_handling import custom_headers
from homeport.node.nginx.filtering import percent_encoded
from homeport.node.nginx.writer import Capture, Entry, If, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.sections.http_redirect import HttpRedirect
from homeport.webconfig.sections.security import DenyAction, IpSecurity

_REFUSALS = {
    DenyAction.FORBIDDEN: "403.6",
    DenyAction.UNAUTHORIZED: "401.503",
    DenyAction.NOT_FOUND: "404.0",
    DenyAction.ABORT_REQUEST: "444.0",
}
_SECTIONS = {"403.4": "access", "403.7": "access", "401.2": "authorization"}
_PIECE = re.compile(r"\$([SQPV0-9])")
_UNRESERVED = re.compile(r"[A-Za-z0-9_~/-]")
_FIRST_WILDCARD = 3
"""The captures before it are the whole path and what follows the folder."""


def address_map(security: IpSecurity, refused: Variable) -> list[Node]:
    """Give the table that says which client addresses are refused."""
    if not security.refuses:
        return []
    entries = [Entry("default", ("" if security.allow_unlisted else "1",))]
    entries += [Entry(network, ("" if allowed else "1",)) for network, allowed in security.networks]
    return [block("geo", refused, body=entries)]


def visitor_entries(settings: FolderSettings) -> list[tuple[str, str]]:
    """Give patterns over a line of address (`1`: refused), blank, encryption (`on`), blank, method, each with a refusal.

    The refusals are statuses with sub-status; they come in IIS's order: address, encryption, sign-in.
    """
    entries: list[tuple[str, str]] = []
    if settings.ip_security.refuses:
        entries.append((r"~\A1 ", _REFUSALS[settings.ip_security.deny_action]))
    access = settings.access
    if access.encrypted:
        entries.append((r"~\A1?  ", "403.4"))
    if access.certificate:
        entries.append(("~.", "403.7"))
    denied, allowed = access.denied_verbs, access.allowed_verbs
    if not access.anonymous or "*" in denied or not allowed:
        return [*entries, ("~.", "401.2")]
    if denied:
        entries.append((f"~ {_any_of(denied)}", "401.2"))
    if "*" not in allowed:
        entries.append((f"~ (?!{_any_of(allowed)})[^ ]*\\z", "401.2"))
    return entries


def refusing_section(refusal: str) -> str:
    """Name the section that one of the `visitor_entries` comes from."""
    return _SECTIONS.get(refusal, "ipSecurity")


def _any_of(verbs: Sequence[str]) -> str:
    return rf"(?:{'|'.join(map(re.escape, verbs))})\z"


def redirects(settings: FolderSettings) -> list[Node]:
    """Give what sends visitors elsewhere. Pieces of the address are those the client sent, still encoded."""
    redirect = settings.http_redirect
    if not redirect.enabled:
        return []
    headers = custom_headers(settings.http_protocol.custom_headers)
    headers += custom_headers(settings.http_protocol.redirect_headers)
    nodes: list[Node] = []
    for pattern, destination in redirect.wildcards:
        if destination.strip() != "!":
            nodes.append(_redirect(redirect, _wildcard(pattern), _text(destination), headers))
    if redirect.destination:
        nodes.append(_redirect(redirect, "[^?]*", _destination(redirect), headers))
    return nodes


def _redirect(redirect: HttpRedirect, rest: str, destination: Text, headers: Sequence[Node]) -> Node:
    # The base as a client may write it, then a slash and the rest or nothing.
    base = _as_sent(redirect.base.rstrip("/"))
    suffix = f"(?:/{rest.replace('[^?]*', '[^/?]*')})?" if redirect.child_only else f"(?:/{rest})?"
    pattern = rf"\A({base}({suffix}))(?:\?|\z)"
    body = (*headers, directive("return", redirect.status.code, destination))
    return If(Variable("request_uri"), body, operator="~*", operand=Plain(pattern))


def _wildcard(pattern: str) -> str:
    pieces = pattern.lstrip("/").split("*")
    return "([^?]*)".join(_as_sent(piece) for piece in pieces)


def _as_sent(text: str) -> str:
    """Give the expression for a text in a request line: only what must be is percent-encoded there."""
    return "".join(
        character if _UNRESERVED.fullmatch(character) else percent_encoded(character) for character in text
    )


def _destination(redirect: HttpRedirect) -> Text:
    """Give the destination; what follows the folder and the query are added where it is not exact."""
    text = _text(redirect.destination)
    if redirect.exact_destination or _PIECE.search(redirect.destination):
        return text
    stem = _text(redirect.destination.rstrip("/"))
    return Text(*stem.parts, Capture(2), Variable("is_args"), Variable("args"))


def _text(destination: str) -> Text:
    parts: list[str | Variable | Capture] = []
    for at, piece in enumerate(_PIECE.split(destination)):
        if at % 2 == 0:
            parts.append(piece)
        elif piece == "S":
            parts.append(Capture(2))
        elif piece == "Q":
            parts += [Variable("is_args"), Variable("args")]
        elif piece == "P":
            parts.append(Variable("args"))
        elif piece == "V":
            parts.append(Capture(1))
        else:
            number = max(int(piece), 1) + _FIRST_WILDCARD - 1
            parts += [Capture(number)] if number <= 9 else []
    return Text(*parts)
