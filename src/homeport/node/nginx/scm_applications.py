"""Applications of extensions below an SCM site, as nginx sees them: two servers in a row (decision 14).

The SCM site's server asks for the sign-in and passes on to a server of the application's own, which listens on a Unix
socket that nobody but nginx reaches, and hosts the application by the rules that hold for sites. So nothing of an
application's configuration is looked at before somebody has signed in.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homeport.node.nginx.cookies import maps_without
from homeport.node.nginx.forwarding import dropped_headers
from homeport.node.nginx.sockets import socket_path
from homeport.node.nginx.writer import (
    Argument,
    Capture,
    Entry,
    If,
    Node,
    Plain,
    Text,
    Variable,
    block,
    directive,
)

SESSION_COOKIES = "(?:__Host-homeport|homeport_scm)=[^;]*"
"""The cookies of a person who has signed in (`control.browser_requests`)."""
_COOKIES = Variable("homeport_scm_cookies")
_HTTPS = Variable("homeport_mounted_https")
_USER = "X-MS-Client-Principal-Name"
_HOPS: Mapping[str, Argument] = {
    "X-Forwarded-Proto": Variable("scheme"),
    "X-Forwarded-Port": Variable("server_port"),
    "X-Real-IP": Variable("homeport_remote"),
    _USER: Variable("homeport_user"),
}
"""What the first server tells the second; from anybody else both drop it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """Where an application is: its path on the SCM site (`/tool`), its folder relative to /home, its server's socket."""

    path: str
    folder: str
    socket: str

    @property
    def label(self) -> str:
        """What tells the application from others of its site in names; no site's name ends so."""
        return f"--scm-{hashlib.sha256(self.path.lower().encode()).hexdigest()[:8]}"

    @property
    def pattern(self) -> str:
        """The expression, without letter case, that its addresses match."""
        return rf"\A{re.escape(self.path)}(?:/|\z)"


def shared_maps() -> list[Node]:
    """Give what is defined once for all sites."""
    return [
        *maps_without(SESSION_COOKIES, _COOKIES.name),
        block(
            "map",
            Variable("http_x_forwarded_proto"),
            _HTTPS,
            body=[Entry("default", ("off",)), Entry("https", ("on",))],
        ),
        block(
            "map",
            Variable("remote_addr"),
            Variable("homeport_remote"),
            body=[
                Entry("default", (Text(Variable("remote_addr"), ":", Variable("remote_port")),)),
                Entry(Plain("~:"), (Text("[", Variable("remote_addr"), "]:", Variable("remote_port")),)),
            ],
        ),
    ]


def doors(applications: Sequence[Mounted], *, guard: Sequence[Node], timeout: str) -> list[Node]:
    """Make the locations of the SCM site's server that lead to applications, behind its sign-in (`guard`)."""
    headers: dict[str, Argument] = {
        "Host": Variable("http_host"),
        "Connection": Variable("homeport_web_socket_connection"),
        "Upgrade": Variable("homeport_web_socket"),
        "Authorization": "",
        "Cookie": _COOKIES,
        "X-CSRF-Token": "",
        **_HOPS,
    }
    return [
        block(
            "location",
            "~*",
            Plain(each.pattern),
            body=[
                *guard,
                *(directive("proxy_set_header", name, value) for name, value in headers.items()),
                *dropped_headers(headers),
                directive("proxy_request_buffering", "off"),
                directive("proxy_buffering", "off"),
                directive("proxy_read_timeout", timeout),
                directive("proxy_send_timeout", timeout),
                directive("proxy_pass", f"http://unix:{socket_path(each.socket)}"),
            ],
        )
        # Of expressions the first that matches counts.
        for each in sorted(applications, key=lambda one: (-len(one.path), one.path))
    ]


def entrance(mounted: Mounted) -> list[Node]:
    """Make what stands first in an application's server: it works below `/`, as that of a site does."""
    return [
        directive("listen", f"unix:{socket_path(mounted.socket)}"),
        directive("set_real_ip_from", "unix:"),
        directive("real_ip_header", "X-Real-IP"),
    ]


def inwards(mounted: Mounted) -> list[Node]:
    """Take the path of the application off the address; the bare path leads to the one with a slash."""
    path = re.escape(mounted.path)
    return [
        directive("rewrite", Plain(rf"(?i)\A{path}\z"), Text(mounted.path, "/"), "permanent"),
        directive("rewrite", Plain(rf"(?is)\A{path}(/.*)\z"), Text(Capture(1)), "break"),
    ]


def folder_slash(mounted: Mounted) -> Node:
    """Lead from a folder to its address with a slash; nginx by itself would leave the application's path out."""
    target = Text(mounted.path, Capture(1), "/")
    return If(
        None,
        (directive("rewrite", Plain(r"(?s)\A(.*[^/])\z"), target, "permanent"),),
        operator="-d",
        operand=Variable("request_filename"),
    )


def forwarded_headers() -> Mapping[str, Argument]:
    """Give the request headers for an application's own web server, as its visitors' server would set them."""
    return {
        "X-Forwarded-Proto": Variable("http_x_forwarded_proto"),
        _USER: Variable("http_x_ms_client_principal_name"),
    }


def fastcgi_overrides(mounted: Mounted) -> Mapping[str, Argument]:
    """Give the FastCGI parameters that differ from a site's: the application knows its whole path."""
    return {
        "PATH_INFO": Text(mounted.path, Variable("uri")),
        "SERVER_PORT": Variable("http_x_forwarded_port"),
        "HTTPS": _HTTPS,
        "HTTP_X_MS_CLIENT_PRINCIPAL_NAME": Variable("http_x_ms_client_principal_name"),
    }


def program_overrides(mounted: Mounted) -> Mapping[str, Argument]:
    """Give the parameters that a program other than our worker gets instead of a site's."""
    whole = Text(mounted.path, Variable("uri"))
    return {
        **fastcgi_overrides(mounted),
        "URL": whole,
        "SCRIPT_NAME": whole,
        "HTTP_X_FORWARDED_PROTO": Variable("http_x_forwarded_proto"),
    }
