"""One site as nginx sees it: a server block for its visitors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from homeport.model.errors import Invalid
from homeport.node.nginx.access_log import access_log
from homeport.node.nginx.forwarding import WORKER_PARAMETERS, fastcgi_parameters, iis_parameters
from homeport.node.nginx.http_pools import (
    HttpEntrances,
    failing,
    http_pool_locations,
    pass_again,
    pass_to_http_pool,
    upstreams,
)
from homeport.node.nginx.outbound import with_header_filter
from homeport.node.nginx.pages import (
    TOO_LARGE,
    answer,
    error_pages,
    failed_location,
    page,
    status_location,
    sub_status_is,
    too_large_location,
)
from homeport.node.nginx.preview_door import PreviewDoor
from homeport.node.nginx.rewriting import ORIGINAL, RewriteCompiler
from homeport.node.nginx.rule_names import rule_name, taken_by
from homeport.node.nginx.rules import RuleCompiler
from homeport.node.nginx.scm_applications import (
    Mounted,
    entrance,
    fastcgi_overrides,
    inwards,
    program_overrides,
)
from homeport.node.nginx.sockets import socket_path
from homeport.node.nginx.trace_header import TraceHeader
from homeport.node.nginx.writer import If, Node, Plain, Text, Variable, block, directive, render
from homeport.webconfig.plan import FastCgi, FastCgiPool, HostingPlan, HttpPool, PoolKind, ProxyToPool

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9])?")
_BELOW_HOME = "/site/wwwroot"
"""From the site's own folder on nothing is followed: a link in the place of `site` would lead to another site."""
_SPARE_SECONDS = 60
_HTTPS_PORT = 443
_OLD_TLS = "/.homeport/old-tls"
_IDLE_CONNECTIONS = "128"
"""Connections to a pool that each nginx process keeps while no request is on them; some 20 kB of memory a pool.

Fewer than there are busy clients cost more than none: the surplus is made, shared and closed again all the time.
"""
_MOST_REQUESTS = "100000"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteServer:
    """What a site's server block depends on.

    `running` False answers every visitor that the site is stopped. `sockets` are the Unix sockets of the plan's
    pools by id; `entrances` says where its httpPlatform pools are reached. `content_root` is the site's content folder
    where nginx sees it. `addresses` and ports are as in `MainConfig`, which also says where certificates come from.
    `request_body_bytes` is the largest body that the plan's settings may allow. `links_are_refused`: where nginx sees
    the content, no link can be followed. `request_log` is the platform's file of
    requests where the site keeps an access log. `https_only` and
    `minimum_tls` (`1.2`, `1.3`) are as in `model.site.SiteConfig`. `trace_token` (empty: none) is the site's secret for
    `trace_header`. `preview_token` (empty: none) is what opens a preview (`preview_door`). `mounted` says where an
    application is that extensions have brought below the SCM site; then this is its server and not that of the visitors.
    """

    name: str
    hostnames: tuple[str, ...]
    running: bool
    plan: HostingPlan
    sockets: Mapping[str, str]
    content_root: str
    http_port: int
    https_port: int | None = None
    addresses: tuple[str, ...] = ("127.0.0.1",)
    request_body_bytes: int = 1024 * 1024 * 1024
    entrances: HttpEntrances = field(default_factory=lambda: HttpEntrances(servers={}, activator=""))
    links_are_refused: bool = False
    request_log: str | None = None
    https_only: bool = False
    minimum_tls: str = "1.2"
    trace_token: str = field(default="", repr=False)
    preview_token: str = field(default="", repr=False)
    mounted: Mounted | None = None


def render_site(site: SiteServer) -> str:
    """Render a site's file. Raises `Invalid` for a value that nginx configuration cannot hold."""
    trace = TraceHeader(site.name, site.trace_token)
    rewriting = RewriteCompiler(site.name, site.plan.rewriting, content_root=site.content_root, trace=trace)
    rules = RuleCompiler(
        site.name,
        site.plan,
        pass_to=lambda action: _pass_to(site, action, rewriting),
        pass_again=lambda action: pass_again(
            site.name, _http_pool(site, action), _entrances(site, rewriting)
        ),
        trace=trace,
        most_body_bytes=site.request_body_bytes,
        mounted=site.mounted,
    )
    maps = [*rules.maps(), *rewriting.maps(), *trace.maps()] if site.running else []
    maps += _door(site).maps()
    if site.running:
        maps += upstreams(site.name, site.plan.http_pools, site.entrances)
    return render([*_upstreams(site), *maps, block("server", body=_visitors(site, rules, rewriting, trace))])


def _visitors(
    site: SiteServer, rules: RuleCompiler, rewriting: RewriteCompiler, trace: TraceHeader
) -> list[Node]:
    head = [
        *(entrance(site.mounted) if site.mounted else listen_directives(site)),
        _server_name(site.hostnames),
        *error_pages(),
        status_location(),
        *_transport(site),
        *_door(site).guard(),
        *([access_log(site.request_log, full=True)] if site.request_log else ()),
        *([directive("access_log", "off"), *inwards(site.mounted)] if site.mounted else ()),
    ]
    if not site.running:
        stopped = page("This web app is stopped", "Its owner has stopped it; it takes no requests.")
        return [
            *head,
            block(
                "location",
                "/",
                body=[taken_by(rule_name("stopped")), sub_status_is("8"), *answer("403", stopped)],
            ),
        ]
    nodes = [
        *head,
        directive("root", Text(site.content_root)),
        *([] if site.links_are_refused else [_no_links(site)]),
        directive("recursive_error_pages", "on"),
        *failing(site.plan.http_pools),
        directive("error_page", "413", "=", TOO_LARGE),
        *rewriting.directives(before=rules.filters()),
        *rules.locations(),
        *http_pool_locations(site.name, site.plan.http_pools, _entrances(site, rewriting)),
        failed_location(site.name),
        too_large_location(),
    ]
    nodes = trace.applied(nodes)
    return with_header_filter(nodes) if rewriting.outbound.active else nodes


def _door(site: SiteServer) -> PreviewDoor:
    return PreviewDoor(site.name, site.preview_token)


def _no_links(site: SiteServer) -> Node:
    below_home = f"/{site.mounted.folder}" if site.mounted else _BELOW_HOME
    return directive("disable_symlinks", "on", Text(f"from={site.content_root.removesuffix(below_home)}"))


def _transport(site: SiteServer) -> list[Node]:
    """Send plain HTTP to HTTPS, and refuse TLS that is too old: nginx decides on versions for all sites at once."""
    nodes: list[Node] = []
    if site.https_only and site.https_port is not None:
        port = "" if site.https_port == _HTTPS_PORT else f":{site.https_port}"
        target = Text("https://", Variable("host"), port, Variable("request_uri"))
        body = (taken_by(rule_name("httpsOnly")), directive("return", "301", target))
        nodes.append(If(Variable("scheme"), body, operator="=", operand="http"))
    if site.minimum_tls == "1.3":
        old = page("Forbidden", "This site takes connections with TLS 1.3 or newer only.")
        nodes += [
            If(
                Variable("ssl_protocol"),
                (directive("rewrite", Plain("^"), _OLD_TLS, "last"),),
                operator="=",
                operand="TLSv1.2",
            ),
            block(
                "location", "=", _OLD_TLS, body=[taken_by(rule_name("minTlsVersion")), *answer("403", old)]
            ),
        ]
    return nodes


def _pass_to(site: SiteServer, action: FastCgi | ProxyToPool, rewriting: RewriteCompiler) -> Sequence[Node]:
    if isinstance(action, ProxyToPool):
        return pass_to_http_pool(site.name, _http_pool(site, action), _entrances(site, rewriting))
    pool = next(pool for pool in site.plan.pools if pool.id == action.pool)
    # The agent ends requests that take too long; nginx waits longer than start and request together.
    seconds = f"{2 * pool.request_timeout_seconds + _SPARE_SECONDS}s"
    return [
        *_parameters(site, pool, rewriting),
        directive("fastcgi_read_timeout", seconds),
        directive("fastcgi_send_timeout", seconds),
        directive("fastcgi_pass", _address(site, pool)),
    ]


def _http_pool(site: SiteServer, action: ProxyToPool) -> HttpPool:
    return next(pool for pool in site.plan.http_pools if pool.id == action.pool)


def _entrances(site: SiteServer, rewriting: RewriteCompiler) -> HttpEntrances:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in _headers(site, rewriting).items()
    }
    return replace(site.entrances, set_headers=headers, mounted=site.mounted is not None)


def _headers(site: SiteServer, rewriting: RewriteCompiler) -> Mapping[str, Variable]:
    return {**rewriting.headers, **_door(site).headers}


def _upstreams(site: SiteServer) -> list[Node]:
    """Let nginx keep connections to our workers, which share them (decision 7); other programs get one a request."""
    return [
        block(
            "upstream",
            _address(site, pool),
            body=[
                directive("server", f"unix:{socket_path(site.sockets[pool.id])}"),
                directive("keepalive", _IDLE_CONNECTIONS),
                directive("keepalive_requests", _MOST_REQUESTS),
            ],
        )
        for pool in site.plan.pools
        if site.running and pool.kind is PoolKind.WSGI
    ]


def _address(site: SiteServer, pool: FastCgiPool) -> str:
    if pool.kind is PoolKind.WSGI:
        return f"homeport_{site.name}_{pool.id}"
    return f"unix:{socket_path(site.sockets[pool.id])}"


def _parameters(site: SiteServer, pool: FastCgiPool, rewriting: RewriteCompiler) -> Sequence[Node]:
    """Our worker gets what the main file says; another program gets everything that IIS sends.

    Behind rewrite rules wfastcgi's PATH_INFO is that of X-Original-URL (IIS reference §3.6), a program's the rewritten;
    the other paths are rewritten for both.
    """
    if pool.kind is PoolKind.PROGRAM:
        parameters = iis_parameters(site=site.name, content=pool.content)
        if site.mounted:
            parameters = {**parameters, **program_overrides(site.mounted)}
    elif site.mounted:
        parameters = {**WORKER_PARAMETERS, **fastcgi_overrides(site.mounted)}
    elif rewriting.active:
        parameters = {"URL": Variable("uri"), **WORKER_PARAMETERS, "PATH_INFO": ORIGINAL}
    elif site.preview_token:
        parameters = WORKER_PARAMETERS
    else:
        return []
    return fastcgi_parameters(parameters, optional=_headers(site, rewriting))


def listen_directives(site: SiteServer) -> list[Node]:
    """Give the addresses at which visitors come."""
    nodes: list[Node] = [directive("listen", f"{address}:{site.http_port}") for address in site.addresses]
    if site.https_port is not None:
        nodes += [
            directive("listen", f"{address}:{site.https_port}", "ssl", "http2") for address in site.addresses
        ]
    return nodes


def _server_name(names: Sequence[str]) -> Node:
    return directive("server_name", *(host_name(name) for name in names))


def host_name(name: str) -> str:
    """Check a host name and return it in lower case. Raises `Invalid`.

    A leading dot, a wildcard or a `~` would mean more than one name.
    """
    lowered = name.lower()
    if not _HOST.fullmatch(lowered):
        raise Invalid(
            f"'{lowered}' is no host name that nginx can serve: use letters, digits, hyphens and dots."
        )
    return lowered
