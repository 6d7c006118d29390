"""The server block of every SCM site: one for all, because they differ in nothing but the name of their site.

`SITE.scm.DOMAIN` selects the site by its name, so sites may come and go without nginx hearing of it. Whether there is
such a site is seen by its folder; its socket goes when its SCM app keeps failing (decision 2). Only a site whose
extensions have applications of their own there has a block of its own, with the same in it and the ways to these.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homeport.node.nginx.forwarding import dropped_headers
from homeport.node.nginx.pages import answer, error_pages, failed_location, page, status_location
from homeport.node.nginx.scm_applications import Mounted, doors
from homeport.node.nginx.sockets import socket_path
from homeport.node.nginx.writer import Argument, If, Node, Plain, Text, Variable, block, directive

_BODY_BYTES = "4g"
_PIECE_BYTES = "256k"
_TIMEOUT = "3600s"
_FORM_BYTES = "16k"
_AUTHORIZE = "/.homeport/authorize"
_AUTHORIZE_APPLICATION = "/.homeport/authorize-application"
_PAGES = {"/.homeport/sign-in": "/sign-in", "/.homeport/sign-out": "/sign-out"}
_UNAUTHORIZED = "@homeport_unauthorized"
_SITE = Variable("homeport_site")
_NAME = "[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?"
"""A site's name, as `model.site.site_name` allows it; it becomes part of a path and of a page."""


_ASKED: Mapping[str, Argument] = {
    "Host": "homeport",
    "Connection": "close",
    "X-Homeport-Site": _SITE,
    "X-Homeport-Application": "",
    "X-Homeport-Upgrade": Variable("http_upgrade"),
    "X-Original-Method": Variable("request_method"),
    "X-Original-URI": Variable("request_uri"),
    "X-Real-IP": Variable("remote_addr"),
    "X-Forwarded-Host": Variable("http_host"),
    "X-Forwarded-Proto": Variable("scheme"),
}
"""What the control plane is told of a request, beside the client's own headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmSites:
    """Where SCM sites are reached.

    `sites_folder` has a folder for each site, where nginx sees it. `sockets_folder` holds `<site>.scm.sock` of each
    site's SCM app; `auth_socket` answers `/authorize`: may the request reach the site that `X-Homeport-Site` names?
    """

    sites_folder: str
    sockets_folder: str
    auth_socket: str


def scm_server(
    sites: ScmSites,
    domain: str,
    listen: Sequence[Node],
    *,
    site: str = "",
    applications: Sequence[Mounted] = (),
) -> Node:
    """Make the server block, or with `site` that of one site with applications.

    Raises `Invalid` for a path that cannot be a socket's.
    """
    away = page("Service unavailable", "Sign-in does not work at the moment. Try again shortly.")
    socket_path(f"{sites.sockets_folder}/{60 * 'x'}.scm.sock")
    return block(
        "server",
        body=[
            *listen,
            # An exact name comes before an expression, so it is the control plane that keeps host names of sites
            # out of the platform's own domain.
            *(_one_name(site, domain) if site else [_every_name(domain)]),
            directive("access_log", "off"),
            # auth_request makes a 500 of everything but yes and no: whoever answers it is away.
            directive("error_page", "500", "=", "@homeport_no_sign_in"),
            directive("error_page", "401", "=", _UNAUTHORIZED),
            *error_pages(),
            directive("error_page", "502", "504", "=", "@homeport_failed"),
            directive("recursive_error_pages", "on"),
            directive("absolute_redirect", "off"),
            directive("client_max_body_size", _BODY_BYTES),
            block("location", "=", _AUTHORIZE, body=_authorize(sites, _ASKED)),
            *(_ways_to(sites, applications) if applications else ()),
            *(block("location", "=", path, body=_page(sites, target)) for path, target in _PAGES.items()),
            block("location", _UNAUTHORIZED, body=_unauthorized()),
            block("location", "/", body=_scm_app(sites)),
            status_location(),
            failed_location(_SITE),
            block(
                "location",
                "@homeport_no_sign_in",
                body=[
                    directive("add_header", "Retry-After", Variable("homeport_retry_after"), "always"),
                    *answer("503", away),
                ],
            ),
        ],
    )


def _every_name(domain: str) -> Node:
    return directive("server_name", Plain(f"~^(?<{_SITE.name}>{_NAME})\\.scm\\.{re.escape(domain)}$"))


def _one_name(site: str, domain: str) -> list[Node]:
    """Name one site: nginx looks for exact names first."""
    return [directive("server_name", f"{site}.scm.{domain}"), directive("set", _SITE, site)]


def _ways_to(sites: ScmSites, applications: Sequence[Mounted]) -> list[Node]:
    asked: Mapping[str, Argument] = {**_ASKED, "X-Homeport-Application": "1"}
    return [
        block("location", "=", _AUTHORIZE_APPLICATION, body=_authorize(sites, asked)),
        *doors(
            applications,
            guard=_signed_in(_AUTHORIZE_APPLICATION),
            timeout=_TIMEOUT,
        ),
    ]


def _authorize(sites: ScmSites, asked: Mapping[str, Argument]) -> list[Node]:
    return [
        directive("internal"),
        directive("proxy_pass_request_body", "off"),
        *_set_headers({**asked, "Content-Length": ""}),
        directive("proxy_pass", f"http://unix:{socket_path(sites.auth_socket)}:/authorize"),
    ]


def _page(sites: ScmSites, target: str) -> list[Node]:
    """Pass to a page of the control plane: to sign in or out."""
    return [
        directive("client_max_body_size", _FORM_BYTES),
        *_set_headers(_ASKED),
        directive("proxy_pass", f"http://unix:{socket_path(sites.auth_socket)}:{target}"),
    ]


def _unauthorized() -> list[Node]:
    """Lead a person to the sign-in page; a client gets 401 with the challenge that the control plane made."""
    needed = page("Sign-in needed", "Sign in with the site's deployment credentials.")
    sign_in = Variable("homeport_sign_in")
    return [
        If(sign_in, (directive("return", "302", sign_in),)),
        *answer("401", needed),
    ]


def _scm_app(sites: ScmSites) -> list[Node]:
    """Pass to the SCM app, which runs as the tenant: it learns who is there, never a password or session."""
    headers: dict[str, Argument] = {
        "Host": Variable("http_host"),
        # An upgrade to anything else (curl and Java offer h2c) would part a request from its body.
        "Connection": Variable("homeport_web_socket_connection"),
        "Upgrade": Variable("homeport_web_socket"),
        "Authorization": "",
        "Cookie": "",
        "X-CSRF-Token": "",
        "X-Homeport-CSRF": Variable("homeport_csrf"),
        "X-MS-CLIENT-PRINCIPAL-NAME": Variable("homeport_user"),
        "X-Real-IP": Variable("remote_addr"),
        "X-Forwarded-For": Variable("remote_addr"),
        "X-Forwarded-Host": Variable("http_host"),
        "X-Forwarded-Proto": Variable("scheme"),
    }
    folder = Text(f"{sites.sites_folder}/", _SITE)
    socket = Text(f"http://unix:{sites.sockets_folder}/", _SITE, ".scm.sock")
    return [
        If(None, (directive("return", "404"),), operator="!-d", operand=folder),
        *_signed_in(_AUTHORIZE),
        directive("auth_request_set", Variable("homeport_csrf"), Variable("upstream_http_x_homeport_csrf")),
        *_set_headers(headers),
        directive("proxy_request_buffering", "off"),
        directive("proxy_buffering", "off"),
        # What is read at once of an answer; the other two only have to fit it.
        directive("proxy_buffer_size", _PIECE_BYTES),
        directive("proxy_buffers", "4", _PIECE_BYTES),
        directive("proxy_busy_buffers_size", _PIECE_BYTES),
        directive("proxy_read_timeout", _TIMEOUT),
        directive("proxy_send_timeout", _TIMEOUT),
        directive("proxy_pass", socket),
    ]


def _signed_in(authorize: str) -> list[Node]:
    return [
        # A service worker would see what is typed into the sign-in page, and outlive what put it there.
        If(Variable("http_service_worker"), (directive("return", "403"),)),
        directive("auth_request", authorize),
        directive("auth_request_set", Variable("homeport_user"), Variable("upstream_http_x_homeport_user")),
        directive(
            "auth_request_set", Variable("homeport_sign_in"), Variable("upstream_http_x_homeport_sign_in")
        ),
    ]


def _set_headers(headers: Mapping[str, Argument]) -> list[Node]:
    return [
        *(directive("proxy_set_header", name, value) for name, value in headers.items()),
        *dropped_headers(headers),
    ]
