"""How nginx hands requests to httpPlatform pools, and to the agent's activator while none of their processes runs.

Warm, a request goes straight to a process. Where no connection could be made, the request is held, without its body,
by the activator, which starts a process and sends nginx on to the same pool by X-Accel-Redirect: method and body are
kept. After a connection had been made nothing is sent again, other than nginx does for idempotent requests that met
a kept connection on its way out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from homeport.node.nginx.forwarding import IGNORED_RESPONSE_HEADERS, dropped_headers
from homeport.node.nginx.pages import FAILED, answer, owner_line, page, sub_status_is
from homeport.node.nginx.scm_applications import forwarded_headers
from homeport.node.nginx.sockets import socket_path
from homeport.node.nginx.writer import Argument, If, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.plan import HttpPool

_KEPT_CONNECTIONS = "64"
_KEPT_IDLE = "1s"
"""Less than any server keeps them: one that closes first would lose the request that is just being sent."""
_KEPT_FOR = "2s"
"""New processes get their share, and old ones their rest, as connections are made anew."""
_WEB_SOCKET_SECONDS = 3600
_START_SECONDS = "8h"
"""The agent bounds how long a start may take."""
_NO_LIMIT = 30 * 24 * 3600
_TO_WEB_SOCKET = "420"
_NO_WEB_SOCKETS = "419"
"""Statuses that nothing else uses, as for the rules' dispatch."""
_FAILED_TO = Variable("homeport_failed_to")
_BACK_TO = Variable("homeport_back_to")
_WEB_SOCKET = Variable("homeport_web_socket")
_WEB_SOCKET_TO = Variable("homeport_web_socket_to")
_NOT_STARTED = "@homeport_not_started"
_NO_ANSWER = "@homeport_no_answer"
_REFUSED_LOCATION = "@homeport_no_web_sockets"
_TO_OWN_PAGE = "417"
"""One more status that nothing else uses."""
_OWN_ERRORS = Variable("homeport_own_errors")
"""What the names of the locations end with that answer for the errors of the folder's pools; empty: there are none."""
POOL_ERRORS = {
    _NOT_STARTED: ("502", "3", "Bad gateway", "The site could not be started."),
    _NO_ANSWER: ("502", "3", "Bad gateway", "The site failed to answer this request."),
    _REFUSED_LOCATION: ("503", "0", "Service unavailable", "This site does not take WebSockets."),
}
"""The errors of pools, by their locations: status and sub-status (IIS reference §4.5), words for visitors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpEntrances:
    """Where the pools of a site are reached: addresses (`host:port`) by pool id, and the activator's socket.

    `set_headers` are request headers that the site's rewrite rules set, by name. `mounted`: the pools serve an application
    below the SCM site.
    """

    servers: Mapping[str, tuple[str, ...]]
    activator: str
    web_sockets: bool = True
    set_headers: Mapping[str, Argument] = field(default_factory=dict)
    mounted: bool = False


def upstreams(site: str, pools: Sequence[HttpPool], entrances: HttpEntrances) -> list[Node]:
    """Make the blocks that stand outside the server block."""
    return [
        block(
            "upstream",
            _upstream(site, pool),
            body=[
                # nginx must not stop trying an address because it was refused once.
                *(directive("server", server, "max_fails=0") for server in entrances.servers[pool.id]),
                directive("keepalive", _KEPT_CONNECTIONS),
                directive("keepalive_timeout", _KEPT_IDLE),
                directive("keepalive_time", _KEPT_FOR),
            ],
        )
        for pool in pools
    ]


def failing(pools: Sequence[HttpPool]) -> list[Node]:
    """Say where the requests of a site go that no process answered: a location of such a pool chooses by itself."""
    if not pools:
        return [directive("error_page", "502", "504", "=", FAILED)]
    return [directive("set", _FAILED_TO, FAILED), directive("set", _OWN_ERRORS, ""), *proxy_errors()]


def own_errors(suffix: str) -> Node:
    """Send the errors of pools to locations of a folder's own, whose names end so."""
    return directive("set", _OWN_ERRORS, suffix)


def proxy_errors() -> list[Node]:
    """Make the error pages of a location that passes to a pool; one that has others must have these, too."""
    return [
        directive("error_page", "502", "504", "=", _FAILED_TO),
        directive("error_page", _TO_WEB_SOCKET, "=", _WEB_SOCKET_TO),
        directive("error_page", _NO_WEB_SOCKETS, "=", _REFUSED_LOCATION),
    ]


def pass_to_http_pool(site: str, pool: HttpPool, entrances: HttpEntrances) -> list[Node]:
    """Make what a rule's location needs: straight to the pool, or aside for a WebSocket."""
    aside = _TO_WEB_SOCKET if entrances.web_sockets else _NO_WEB_SOCKETS
    return [
        directive("set", _FAILED_TO, f"@homeport_start_{_name(pool)}"),
        If(
            _WEB_SOCKET,
            (
                directive("set", _WEB_SOCKET_TO, f"@homeport_web_socket_{_name(pool)}"),
                directive("return", aside),
            ),
        ),
        *_proxied(site, pool, entrances, seconds=pool.request_timeout_seconds),
    ]


def pass_again(site: str, pool: HttpPool, entrances: HttpEntrances) -> list[Node]:
    """Make what a location needs to which the activator sends requests back."""
    return [
        directive("set", _FAILED_TO, _NO_ANSWER),
        directive("client_max_body_size", "0"),  # looked at where the request came in
        *_proxied(site, pool, entrances, seconds=pool.request_timeout_seconds),
    ]


def back_to(location: str) -> Node:
    """Send requests back to this location when the activator has started a process."""
    return directive("set", _BACK_TO, location)


def refuse_web_sockets() -> list[Node]:
    """Make what a folder needs whose settings do not take WebSockets."""
    return [If(_WEB_SOCKET, (directive("return", _NO_WEB_SOCKETS),))]


def http_pool_locations(site: str, pools: Sequence[HttpPool], entrances: HttpEntrances) -> list[Node]:
    """Make the named locations of a site with httpPlatform pools, and what leads to them."""
    if not pools:
        return []
    owner = owner_line(site)
    nodes: list[Node] = [
        block(
            "location",
            name,
            body=[
                directive("error_page", _TO_OWN_PAGE, "=", Text(f"{name}_", _OWN_ERRORS)),
                If(_OWN_ERRORS, (directive("return", _TO_OWN_PAGE),)),
                sub_status_is(sub_status),
                *answer(status, page(title, text, owner=owner)),
            ],
        )
        for name, (status, sub_status, title, text) in POOL_ERRORS.items()
    ]
    for pool in pools:
        nodes += _pool_locations(site, pool, entrances)
    return nodes


def _pool_locations(site: str, pool: HttpPool, entrances: HttpEntrances) -> list[Node]:
    name = _name(pool)
    body_kept = directive("client_max_body_size", "0")  # looked at where the request came in
    again = [directive("set", _FAILED_TO, _NO_ANSWER), body_kept]
    seconds = max(pool.request_timeout_seconds, _WEB_SOCKET_SECONDS)
    upgraded = _proxied(site, pool, entrances, seconds=seconds, web_socket=True)
    web_socket = [
        directive("set", _FAILED_TO, f"@homeport_start_{name}"),
        directive("set", _BACK_TO, f"@homeport_socket_{name}"),
        *upgraded,
    ]
    return [
        block("location", f"@homeport_web_socket_{name}", body=web_socket),
        block(
            "location",
            f"@homeport_socket_{name}",
            body=[*again, *upgraded],
        ),
        block("location", f"@homeport_start_{name}", body=_start(site, pool, entrances, body_kept)),
    ]


def _start(site: str, pool: HttpPool, entrances: HttpEntrances, body_kept: Node) -> list[Node]:
    headers: dict[str, Argument] = {
        "Host": "homeport",
        "Connection": "close",
        "Content-Length": "",
        "X-Homeport-Site": site,
        "X-Homeport-Pool": pool.id,
        "X-Homeport-Back-To": _BACK_TO,
    }
    return [
        directive("set", _FAILED_TO, _NOT_STARTED),
        If(
            Variable("upstream_connect_time"),
            (directive("set", _FAILED_TO, _NO_ANSWER), directive("return", "502")),
            operator="~",
            operand=Plain("[0-9]$"),
        ),
        body_kept,
        *(directive("proxy_set_header", name, value) for name, value in headers.items()),
        directive("proxy_method", "GET"),
        directive("proxy_pass_request_headers", "off"),
        directive("proxy_pass_request_body", "off"),
        directive("proxy_read_timeout", _START_SECONDS),
        # The agent's own page for visitors is as ours, but a site may have another.
        directive("proxy_intercept_errors", "on"),
        *proxy_errors(),
        # The one who orders nginx about here is the agent.
        directive(
            "proxy_ignore_headers", *(name for name in IGNORED_RESPONSE_HEADERS if name != "X-Accel-Redirect")
        ),
        directive("proxy_pass", f"http://unix:{socket_path(entrances.activator)}"),
    ]


def _proxied(
    site: str, pool: HttpPool, entrances: HttpEntrances, *, seconds: int, web_socket: bool = False
) -> list[Node]:
    headers: dict[str, Argument] = {
        "Host": Variable("http_host"),
        "Connection": "upgrade" if web_socket else "",
        "Upgrade": "websocket" if web_socket else "",
        "X-Forwarded-For": Variable("homeport_forwarded_for"),
        "X-Forwarded-Proto": Variable("scheme"),
        "X-Original-URL": Variable("request_uri"),
    }
    # What frames a request, and what the platform says of it, is no rule's to change.
    fixed = {name.lower() for name in headers if name != "Host"} | {"content-length", "transfer-encoding"}
    headers |= {name: value for name, value in entrances.set_headers.items() if name.lower() not in fixed}
    if entrances.mounted:
        headers |= forwarded_headers()
    timeout = f"{seconds or _NO_LIMIT}s"
    return [
        *(directive("proxy_set_header", name, value) for name, value in headers.items()),
        *dropped_headers(headers),
        # As under IIS: an answer goes out as it is made, whatever the server's way of marking its end.
        directive("proxy_buffering", "off"),
        directive("proxy_next_upstream", "error"),
        directive("proxy_read_timeout", timeout),
        directive("proxy_send_timeout", timeout),
        # The address as the client has written it, also where nginx works with another one.
        directive(
            "proxy_pass",
            Text(
                f"http://{_upstream(site, pool)}", *([Variable("request_uri")] if entrances.mounted else [])
            ),
        ),
    ]


def _upstream(site: str, pool: HttpPool) -> str:
    return f"homeport.{pool.id}.{site}"


def _name(pool: HttpPool) -> str:
    return pool.id.replace("-", "_")
