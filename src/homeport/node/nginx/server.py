"""One site as nginx sees it: a server block for its visitors and one for its SCM site."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homeport.model.errors import Invalid
from homeport.node.nginx.forwarding import DROPPED_HEADERS, fastcgi_parameters, iis_parameters
from homeport.node.nginx.pages import answer, error_pages, failed_location, page, status_location
from homeport.node.nginx.rules import RuleCompiler
from homeport.node.nginx.writer import Argument, Node, Text, Variable, block, directive, render
from homeport.webconfig.plan import FastCgi, FastCgiPool, HostingPlan, PoolKind

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9])?")
_SOCKET = re.compile(r"/[A-Za-z0-9_./@+-]{1,106}")
_SCM_BODY_BYTES = "4g"
_SCM_TIMEOUT = "3600s"
_BELOW_HOME = "/site/wwwroot"
"""From the site's own folder on nothing is followed: a link in the place of `site` would lead to another site."""
_AUTHORIZE = "/.homeport/authorize"
_SPARE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteServer:
    """What a site's server blocks depend on.

    `running` False answers every visitor that the site is stopped. `sockets` are the Unix sockets of the plan's
    pools by id; `scm_socket` is the SCM app's, `auth_socket` answers `/authorize` for it. `content_root` is the
    site's content folder where nginx sees it. `addresses` and ports are as in `MainConfig`; `certificate` and
    `certificate_key` are PEM files for all host names, needed where `https_port` is given. `request_body_bytes` is the
    largest body that the plan's settings may allow.
    """

    name: str
    hostnames: tuple[str, ...]
    scm_hostnames: tuple[str, ...]
    running: bool
    plan: HostingPlan
    sockets: Mapping[str, str]
    scm_socket: str
    auth_socket: str
    content_root: str
    http_port: int
    https_port: int | None = None
    addresses: tuple[str, ...] = ("127.0.0.1",)
    certificate: str | None = None
    certificate_key: str | None = None
    request_body_bytes: int = 1024 * 1024 * 1024


def render_site(site: SiteServer) -> str:
    """Render a site's file. Raises `Invalid` for a value that nginx configuration cannot hold."""
    servers: list[Node] = []
    if site.hostnames:
        rules = RuleCompiler(
            site.name,
            site.plan,
            pass_to=lambda action: _pass_to(site, action),
            most_body_bytes=site.request_body_bytes,
        )
        servers += [*(rules.maps() if site.running else ()), block("server", body=_visitors(site, rules))]
    if site.scm_hostnames:
        servers.append(block("server", body=_scm(site)))
    return render(servers)


def _visitors(site: SiteServer, rules: RuleCompiler) -> list[Node]:
    head = [*_listen(site), _server_name(site.hostnames), *error_pages(), status_location()]
    if not site.running:
        stopped = page("This web app is stopped", "Its owner has stopped it; it takes no requests.")
        return [*head, block("location", "/", body=answer("403", stopped))]
    too_large = page("Not found", "The body of this request is larger than this site accepts.")
    return [
        *head,
        directive("root", Text(site.content_root)),
        directive("disable_symlinks", "on", Text(f"from={site.content_root.removesuffix(_BELOW_HOME)}")),
        directive("recursive_error_pages", "on"),
        directive("error_page", "502", "504", "=", "@homeport_failed"),
        # IIS answers a body over its limit with 404 (404.13), not with 413 (IIS reference §5.8).
        directive("error_page", "413", "=", "@homeport_too_large"),
        *rules.locations(),
        failed_location(site.name),
        block("location", "@homeport_too_large", body=answer("404", too_large)),
    ]


def _pass_to(site: SiteServer, action: FastCgi) -> Sequence[Node]:
    pool = next(pool for pool in site.plan.pools if pool.id == action.pool)
    # The agent ends requests that take too long; nginx waits longer than start and request together.
    seconds = f"{2 * pool.request_timeout_seconds + _SPARE_SECONDS}s"
    return [
        *_parameters(site, pool),
        directive("fastcgi_read_timeout", seconds),
        directive("fastcgi_send_timeout", seconds),
        directive("fastcgi_pass", f"unix:{_socket(site.sockets[pool.id])}"),
    ]


def _parameters(site: SiteServer, pool: FastCgiPool) -> Sequence[Node]:
    """Our worker gets what the main file says; another program gets everything that IIS sends."""
    return [] if pool.kind is PoolKind.WSGI else fastcgi_parameters(iis_parameters(site=site.name))


def _scm(site: SiteServer) -> list[Node]:
    away = page("Service unavailable", "Sign-in does not work at the moment. Try again shortly.")
    return [
        *_listen(site),
        _server_name(site.scm_hostnames),
        # auth_request makes a 500 of everything but yes and no: whoever answers it is away.
        directive("error_page", "500", "=", "@homeport_no_sign_in"),
        *error_pages(),
        directive("error_page", "502", "504", "=", "@homeport_failed"),
        directive("recursive_error_pages", "on"),
        directive("client_max_body_size", _SCM_BODY_BYTES),
        block("location", "=", _AUTHORIZE, body=_authorize(site)),
        block("location", "/", body=_scm_app(site)),
        status_location(),
        failed_location(site.name),
        block(
            "location",
            "@homeport_no_sign_in",
            body=[
                directive("add_header", "Retry-After", Variable("homeport_retry_after"), "always"),
                *answer("503", away),
            ],
        ),
    ]


def _authorize(site: SiteServer) -> list[Node]:
    headers: dict[str, Argument] = {
        "Host": "homeport",
        "Connection": "close",
        "Content-Length": "",
        "X-Homeport-Site": site.name,
        "X-Original-Method": Variable("request_method"),
        "X-Original-URI": Variable("request_uri"),
        "X-Real-IP": Variable("remote_addr"),
        "X-Forwarded-Proto": Variable("scheme"),
    }
    return [
        directive("internal"),
        directive("proxy_pass_request_body", "off"),
        *_set_headers(headers),
        directive("proxy_pass", f"http://unix:{_socket(site.auth_socket)}:/authorize"),
    ]


def _scm_app(site: SiteServer) -> list[Node]:
    """Pass to the SCM app, which runs as the tenant: it learns who is there and never their password."""
    headers: dict[str, Argument] = {
        "Host": Variable("http_host"),
        "Connection": Variable("homeport_connection"),
        "Upgrade": Variable("http_upgrade"),
        "Authorization": "",
        "X-MS-CLIENT-PRINCIPAL-NAME": Variable("homeport_user"),
        "X-Real-IP": Variable("remote_addr"),
        "X-Forwarded-For": Variable("remote_addr"),
        "X-Forwarded-Host": Variable("http_host"),
        "X-Forwarded-Proto": Variable("scheme"),
    }
    return [
        directive("auth_request", _AUTHORIZE),
        directive("auth_request_set", Variable("homeport_user"), Variable("upstream_http_x_homeport_user")),
        *_set_headers(headers),
        directive("proxy_request_buffering", "off"),
        directive("proxy_buffering", "off"),
        directive("proxy_read_timeout", _SCM_TIMEOUT),
        directive("proxy_send_timeout", _SCM_TIMEOUT),
        directive("proxy_pass", f"http://unix:{_socket(site.scm_socket)}"),
    ]


def _set_headers(headers: Mapping[str, Argument]) -> list[Node]:
    known = {name.lower() for name in headers}
    dropped = [name for name in DROPPED_HEADERS if name.lower() not in known]
    return [
        *(directive("proxy_set_header", name, value) for name, value in headers.items()),
        *(directive("proxy_set_header", name, "") for name in dropped),
    ]


def _listen(site: SiteServer) -> list[Node]:
    nodes: list[Node] = [directive("listen", f"{address}:{site.http_port}") for address in site.addresses]
    if site.https_port is None:
        return nodes
    if site.certificate is None or site.certificate_key is None:
        raise Invalid(f"Site '{site.name}' is to be served over HTTPS without a certificate.")
    return [
        *nodes,
        *(directive("listen", f"{address}:{site.https_port}", "ssl") for address in site.addresses),
        directive("ssl_certificate", site.certificate),
        directive("ssl_certificate_key", site.certificate_key),
    ]


def _server_name(names: Sequence[str]) -> Node:
    """Write host names; a leading dot, a wildcard or a `~` would mean more than one name."""
    lowered = [name.lower() for name in names]
    for name in lowered:
        if not _HOST.fullmatch(name):
            raise Invalid(
                f"'{name}' is no host name that nginx can serve: use letters, digits, hyphens and dots."
            )
    return directive("server_name", *lowered)


def _socket(path: str) -> str:
    """Check a Unix socket's path: nginx ends it at a colon, the kernel after 107 bytes."""
    if not _SOCKET.fullmatch(path):
        raise Invalid(f"'{path}' cannot be the path of a Unix socket that nginx connects to.")
    return path
