"""The main nginx configuration: what all sites share, and the answer to hosts that nobody has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homeport.node.nginx.access_log import access_log, log_formats
from homeport.node.nginx.folder_settings import compressed, default_filters
from homeport.node.nginx.forwarding import (
    IGNORED_RESPONSE_HEADERS,
    WORKER_PARAMETERS,
    fastcgi_parameters,
)
from homeport.node.nginx.pages import (
    RETRY_AFTER_SECONDS,
    STATUS_TEXTS,
    answer,
    error_pages,
    page,
    status_location,
    sub_status_is,
)
from homeport.node.nginx.platform_server import platform_server
from homeport.node.nginx.rewriting import script_directives
from homeport.node.nginx.rule_names import TAKEN_BY
from homeport.node.nginx.scm_applications import shared_maps
from homeport.node.nginx.scm_server import ScmSites, scm_server
from homeport.node.nginx.server import host_name
from homeport.node.nginx.trace_header import trace_variables
from homeport.node.nginx.writer import (
    DOLLAR,
    Directive,
    Entry,
    Node,
    Plain,
    Text,
    Variable,
    block,
    directive,
    render,
)
from homeport.webconfig.mime_types import DEFAULT_MIME_TYPES
from homeport.webconfig.sections.compression import Compression

_JAVASCRIPT = "/usr/lib/nginx/modules/ngx_http_js_module.so"
"""Debian's place for it (libnginx-mod-http-js)."""
_SHUTDOWN = "600s"
"""How long workers of an older configuration may finish downloads, uploads and WebSockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The HTTPS port and the certificates shown there: PEM files with a key and its chain, readable for nginx's user.

    `default` is shown for every name that `names_file` (`render_certificates`) does not hold.
    """

    port: int
    default: str
    names_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MainConfig:
    """What the main file depends on.

    `sites_folder` holds the sites' `*.conf`, `run_folder` the pid file. Bodies of requests and responses that do
    not fit in memory are spooled in `temporary_folder` (default: `run_folder`), which should be on a disk. All
    three must exist, and nginx's user must be able to pass through them. `user` runs the worker processes and is
    None where nginx is not started as root. `addresses` are bound at both ports, IPv6 in brackets; `certificates`
    None leaves HTTPS out, `scm` None the SCM sites. `domain` is the one that sites are below.
    `request_log` is the file that requests are written down in (None: nowhere).
    """

    sites_folder: str
    run_folder: str
    http_port: int
    certificates: Certificates | None = None
    scm: ScmSites | None = None
    addresses: tuple[str, ...] = ("127.0.0.1",)
    user: str | None = None
    domain: str = "localhost"
    temporary_folder: str | None = None
    request_log: str | None = None


def render_main(config: MainConfig) -> str:
    """Render the main configuration file. Raises `Invalid` for a path that nginx configuration cannot hold."""
    user = [directive("user", config.user)] if config.user else []
    return render(
        [
            *user,
            directive("load_module", _JAVASCRIPT),
            directive("daemon", "off"),
            directive("pid", f"{config.run_folder}/nginx.pid"),
            # Where its starter leads it: the log's folder is closed to the worker processes, which cannot open it anew.
            directive("error_log", "stderr", "warn"),
            directive("worker_processes", "auto"),
            directive("pcre_jit", "on"),
            directive("worker_shutdown_timeout", _SHUTDOWN),
            block("events", body=[directive("worker_connections", "8192")]),
            block("http", body=_http(config)),
        ]
    )


def _http(config: MainConfig) -> list[Node]:
    return [
        block("types", body=[Entry(kind, extensions) for kind, extensions in DEFAULT_MIME_TYPES.items()]),
        directive("default_type", "application/octet-stream"),
        *_connections(),
        *_request_log(config),
        *_compression(),
        *_folders(config),
        *_fastcgi(),
        *_proxy(),
        *_variables(),
        *default_filters(),
        *(_certificates(config.certificates) if config.certificates else ()),
        *script_directives(),
        *_default_servers(config),
        *(shared_maps() if config.scm else ()),
        *([scm_server(config.scm, config.domain, _listen(config))] if config.scm else ()),
        *([platform_server(config.scm.auth_socket, config.domain, _listen(config))] if config.scm else ()),
        directive("include", f"{config.sites_folder}/*.conf"),
    ]


def _connections() -> list[Node]:
    return [
        directive("log_not_found", "off"),
        # Variables that sites set are empty until then.
        directive("uninitialized_variable_warn", "off"),
        directive("server_tokens", "off"),
        directive("sendfile", "on"),
        directive("tcp_nopush", "on"),
        directive("keepalive_timeout", "120s"),
        directive("keepalive_requests", "10000"),
        directive("reset_timedout_connection", "on"),
        directive("client_header_buffer_size", "4k"),
        # Our variables and an application's parameters do not fit beside the rest in nginx's usual 4 KB, and further pieces
        # cost more than one that is large enough.
        directive("request_pool_size", "16k"),
        directive("large_client_header_buffers", "8", "16k"),
        directive("client_body_buffer_size", "2m"),
        directive("ignore_invalid_headers", "on"),
        directive("underscores_in_headers", "off"),
        # The application sees `//` as the client sent it, as under IIS.
        directive("merge_slashes", "off"),
        directive("absolute_redirect", "off"),
        directive("server_names_hash_max_size", "16384"),
        directive("server_names_hash_bucket_size", "512"),
        directive("variables_hash_max_size", "65536"),
        directive("variables_hash_bucket_size", "512"),
        # Keys of rewrite maps are long and many; both are bounds, not sizes.
        directive("map_hash_max_size", "65536"),
        directive("map_hash_bucket_size", "2048"),
        directive("ssl_protocols", "TLSv1.2", "TLSv1.3"),
        directive("ssl_session_cache", "shared:homeport:4m"),
    ]


def _compression() -> list[Node]:
    """Say how and what is compressed; folders switch it on. Answers by way of a proxy are left alone, as by IIS."""
    usual = Compression()
    return [
        directive("gzip_vary", "on"),
        directive("gzip_comp_level", "4"),
        *compressed(usual.static_types, least_bytes=usual.least_bytes),
    ]


def _request_log(config: MainConfig) -> list[Node]:
    if config.request_log is None:
        return [directive("access_log", "off")]
    return [*log_formats(), access_log(config.request_log, full=False)]


def _folders(config: MainConfig) -> list[Node]:
    folder = config.temporary_folder or config.run_folder
    return [
        directive(f"{name}_temp_path", f"{folder}/{name}")
        for name in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")
    ]


def _fastcgi() -> list[Node]:
    return [
        *fastcgi_parameters(WORKER_PARAMETERS),
        # Buffering frees a process from slow clients; keep_conn makes nginx take in one record at a time, so a
        # streamed chunk leaves at once all the same (decision 5).
        directive("fastcgi_buffering", "on"),
        directive("fastcgi_keep_conn", "on"),
        directive("fastcgi_buffer_size", "16k"),
        directive("fastcgi_buffers", "32", "8k"),
        directive("fastcgi_next_upstream", "off"),
        directive("fastcgi_ignore_headers", *IGNORED_RESPONSE_HEADERS),
    ]


def _proxy() -> list[Node]:
    return [
        directive("proxy_http_version", "1.1"),
        directive("proxy_buffer_size", "16k"),
        directive("proxy_buffers", "8", "16k"),
        directive("proxy_headers_hash_max_size", "2048"),
        directive("proxy_headers_hash_bucket_size", "128"),
        directive("proxy_next_upstream", "off"),
        directive("proxy_ignore_headers", *IGNORED_RESPONSE_HEADERS),
    ]


def _variables() -> list[Node]:
    """Define what sites' files refer to."""
    titles = [Entry(status, (title,)) for status, (title, _) in STATUS_TEXTS.items()]
    texts = [Entry(status, (text,)) for status, (_, text) in STATUS_TEXTS.items()]
    extensions = "|".join(extension for row in DEFAULT_MIME_TYPES.values() for extension in row)
    return [
        block("geo", Variable(DOLLAR), body=[Entry("default", (Plain("$"),))]),
        # Only WebSockets are passed on: an upgrade to anything else would leave HTTP without anybody looking.
        _map(
            "http_upgrade",
            "homeport_web_socket",
            [Entry("default", ("",)), Entry(Plain(r"~*\Awebsocket\z"), ("websocket",))],
        ),
        _map(
            "homeport_web_socket",
            "homeport_web_socket_connection",
            [Entry("default", ("",)), Entry("websocket", ("upgrade",))],
        ),
        _map("status", "homeport_title", [Entry("default", ("Error",)), *titles]),
        _map("status", "homeport_text", [Entry("default", ("The request was not answered.",)), *texts]),
        _map("status", "homeport_retry_after", [Entry("503", (str(RETRY_AFTER_SECONDS),))]),
        _map("status", "homeport_allow", [Entry("405", ("GET, HEAD, OPTIONS",))]),
        *_iis_variables(),
        # 1 for a file whose extension has no MIME type; evaluated anew after an internal redirect.
        _map(
            "uri",
            "homeport_untyped",
            [
                directive("volatile"),
                Entry("default", ("1",)),
                Entry(Plain(rf"~*(?:/|\.(?:{extensions}))\z"), ("",)),
            ],
        ),
    ]


def _iis_variables() -> list[Node]:
    """Define parameter values that IIS writes otherwise than nginx (IIS reference §2.4, §2.5)."""
    address = Text(Variable("remote_addr"), ":", Variable("remote_port"))
    given = Text(
        Variable("http_x_forwarded_for"), ", ", Variable("remote_addr"), ":", Variable("remote_port")
    )
    return [
        _map("https", "homeport_https", [Entry("default", ("off",)), Entry("on", ("on",))]),
        _map("https", "homeport_secure", [Entry("default", ("0",)), Entry("on", ("1",))]),
        _map(
            "content_length",
            "homeport_content_length",
            [Entry("default", (Variable("content_length"),)), Entry("", ("0",))],
        ),
        _map(
            "http_x_forwarded_for",
            "homeport_forwarded_for",
            [Entry("default", (given,)), Entry("", (address,))],
        ),
    ]


def _map(source: str, target: str, body: Sequence[Node]) -> Directive:
    return block("map", Variable(source), Variable(target), body=body)


def _default_servers(config: MainConfig) -> list[Node]:
    """Answer the hosts that no site has."""
    body = [
        directive("server_name", ""),
        sub_status_is(""),  # so that nginx knows the variable when no site sets it
        directive("set", TAKEN_BY, ""),
        *trace_variables(),
        directive("access_log", "off"),
        *error_pages(),
        block(
            "location",
            "/",
            body=answer("404", page("No site here", "There is no site of this name on this server.")),
        ),
        status_location(),
    ]
    certificate = Variable("homeport_certificate")
    secure: list[Node] = []
    if config.certificates:
        secure = [directive("ssl_certificate", certificate), directive("ssl_certificate_key", certificate)]
    return [block("server", body=[*_listen(config, "default_server"), *secure, *body])]


def _certificates(certificates: Certificates) -> list[Node]:
    """Choose the certificate by the name that the client gives to TLS.

    nginx reads the file when a connection asks for it, so however many there are, a reload loads none, and a renewed
    one is used at once (decision 6). The servers of sites have no certificate of their own, so the default server's
    rule counts for all.
    """
    rule: list[Node] = [
        Entry("default", (certificates.default,)),
        directive("include", certificates.names_file),
    ]
    return [_map("ssl_server_name", "homeport_certificate", rule)]


def _listen(config: MainConfig, *options: str) -> list[Node]:
    plain: list[Node] = [
        directive("listen", f"{address}:{config.http_port}", *options) for address in config.addresses
    ]
    if config.certificates is None:
        return plain
    port = config.certificates.port
    return [
        *plain,
        *(directive("listen", f"{address}:{port}", *options, "ssl", "http2") for address in config.addresses),
    ]


def render_certificates(files: Mapping[str, str]) -> str:
    """Render the file that says which certificate each host name has. Raises `Invalid`."""
    return render([Entry(host_name(name), (path,)) for name, path in sorted(files.items())])
