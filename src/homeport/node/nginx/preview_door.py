"""The door of a preview: an unguessable token in the address opens it once, a cookie from then on.

`/.homeport/preview?token=…` sets the cookie and leads to `/`, so the token is in no address that the application sees
or that a browser tells others. nginx takes the cookie away before it passes a request on. Whoever has neither gets a
page that says so. Without a token nothing of this is in a site's configuration.
"""

import re
from collections.abc import Mapping

from homeport.model.errors import Invalid
from homeport.node.nginx.cookies import maps_without
from homeport.node.nginx.pages import answer, page
from homeport.node.nginx.writer import Argument, Entry, If, Node, Plain, Text, Variable, block, directive

ENTRANCE = "/.homeport/preview"
_ENTERED = "/.homeport/preview-entered"
_REFUSED = "/.homeport/preview-refused"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
_COOKIE = "homeport_preview"
_SECURE_COOKIE = "__Host-homeport_preview"
"""Over HTTPS browsers let nobody but this very host set a cookie of this name."""
_COOKIES = f"(?:__Host-)?{_COOKIE}=[^;]*"
_NOT_OURS = "This is a preview. Open it from the deployment's page of the SCM site, or by homeport deployments preview."


class PreviewDoor:
    """Compiles the door of one site; an empty token leaves everything as it is. Raises `Invalid` for a weak one."""

    def __init__(self, site: str, token: str) -> None:
        if token and not _TOKEN.fullmatch(token):
            raise Invalid("The token of a preview has 32 to 64 letters, digits, hyphens and underscores.")
        self._site = site.replace("-", "_")
        self._token = token

    def maps(self) -> list[Node]:
        """Give the blocks that stand outside the server block."""
        if not self._token:
            return []
        visitor = [
            Entry(Plain(rf"~\A{scheme};(?:.*; *)?{cookie}={self._token}(?:;|\z)"), ("1",))
            for scheme, cookie in (("http", _COOKIE), ("https", _SECURE_COOKIE))
        ]
        address = re.escape(f"{ENTRANCE}?token=")
        return [
            self._map(
                Variable("request_uri"), "entry", [Entry(Plain(rf"~\A{address}{self._token}\z"), ("1",))]
            ),
            self._map(Text(Variable("scheme"), ";", Variable("http_cookie")), "visitor", visitor),
            self._map(
                Variable("scheme"),
                "set_cookie",
                [
                    Entry(
                        "https", (f"{_SECURE_COOKIE}={self._token}; Path=/; Secure; HttpOnly; SameSite=Lax",)
                    )
                ],
                default=f"{_COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Lax",
            ),
            *maps_without(_COOKIES, self._variable("cookie").name),
        ]

    def guard(self) -> list[Node]:
        """Give what stands before everything else in the server block."""
        if not self._token:
            return []
        entered = [
            directive("internal"),
            directive("access_log", "off"),
            directive("add_header", "Set-Cookie", self._variable("set_cookie"), "always"),
            directive("add_header", "Cache-Control", "no-store", "always"),
            directive("add_header", "Referrer-Policy", "no-referrer", "always"),
            directive("return", "302", "/"),
        ]
        # No line for a refused request: it does not count as use of the preview.
        refused = [directive("access_log", "off"), *answer("403", page("Preview", _NOT_OURS))]
        return [
            If(self._variable("entry"), (directive("rewrite", Plain("^"), _ENTERED, "last"),)),
            If(
                self._variable("visitor"),
                (directive("rewrite", Plain("^"), _REFUSED, "last"),),
                operator="=",
                operand="",
            ),
            block("location", "=", _ENTERED, body=entered),
            block("location", "=", _REFUSED, body=refused),
        ]

    @property
    def headers(self) -> Mapping[str, Variable]:
        """The request headers that the application gets in place of the visitor's, by server variable (`HTTP_…`)."""
        return {"HTTP_COOKIE": self._variable("cookie")} if self._token else {}

    def _map(self, source: Argument, target: str, entries: list[Entry], *, default: Argument = "") -> Node:
        return block("map", source, self._variable(target), body=[Entry("default", (default,)), *entries])

    def _variable(self, name: str) -> Variable:
        return Variable(f"homeport_preview_{name}_{self._site}")
