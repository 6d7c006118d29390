"""From the settings of a folder to the nginx directives that make them true."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from homeport.node.nginx.access import address_map, redirects, refusing_section, visitor_entries
from homeport.node.nginx.error_handling import ErrorHandling, custom_headers
from homeport.node.nginx.filtering import alternatives, filter_entries, header_filters, usual_files
from homeport.node.nginx.http_pools import refuse_web_sockets
from homeport.node.nginx.rule_names import refused_by, rule_name, taken_by
from homeport.node.nginx.writer import Entry, If, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.plan import Action, AnswerOptions, ProxyToPool, Refuse, StaticFiles
from homeport.webconfig.sections.compression import Compression, compressed_types
from homeport.webconfig.sections.static_content import DEFAULT_TYPES

_REFUSED = Variable("homeport_refused")
_LOOKED_FOR = Variable("homeport_looked_for")
_FILTERING = rule_name("requestFiltering")
_DEFAULT_FILTERING = FolderSettings().request_filtering
_DEFAULT_FILTER = Variable("homeport_default_filter")
_DEFAULT_USUAL_FILE = Variable("homeport_usual_file")


def default_filters() -> list[Node]:
    """Give the maps of folders that change nothing about request filtering and MIME types: one for all sites.

    Compiled expressions are the largest part of what a site costs, and each variable costs every request.
    """
    usual = _usual_file_entries(FolderSettings())
    return [
        _request_map(_DEFAULT_FILTER, filter_entries(_DEFAULT_FILTERING)),
        _request_map(_DEFAULT_USUAL_FILE, usual),
    ]


def _usual_file_entries(settings: FolderSettings) -> tuple[Entry, ...]:
    extensions = tuple(extension for extension, _ in settings.static_content.mime_types)
    pattern = usual_files(settings.request_filtering, extensions)
    return (Entry(Plain(pattern), ("1",)),) if pattern else ()


def _request_map(variable: Variable, entries: Sequence[Entry]) -> Node:
    # Method and query hold no blank, so each pattern knows where the path begins.
    source = Text(Variable("request_method"), " ", Variable("args"), " ", Variable("uri"))
    return block("map", source, variable, body=[directive("volatile"), *entries])


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderConfiguration:
    """Compiles settings that one or more folders of a site have; `number` tells them from the site's others.

    `proxies` tells whether the site has httpPlatform pools. `label` is the site's name, or what stands for an application
    below its SCM site in names of the configuration.
    """

    site: str
    label: str
    number: int
    settings: FolderSettings
    most_body_bytes: int
    proxies: bool = False

    def maps(self) -> list[Node]:
        """Give the blocks that stand outside the server block."""
        nodes: list[Node] = []
        entries = filter_entries(self.settings.request_filtering)
        if entries and self.filter != _DEFAULT_FILTER:
            nodes.append(_request_map(self.filter, entries))
        nodes += [
            *address_map(self.settings.ip_security, self._address),
            *self._visitor_map(),
            *self.errors.maps(),
        ]
        if self._own_types:
            nodes.append(block("map", Variable("uri"), self._untyped, body=self._untyped_entries()))
        return nodes

    def usual_file_maps(self) -> list[Node]:
        """Give the block that `usual_file` needs besides those of all sites."""
        if self.usual_file in (None, _DEFAULT_USUAL_FILE):
            return []
        return [_request_map(self.usual_file, _usual_file_entries(self.settings))]

    def filters(self) -> list[Node]:
        """Give what refuses a request before any rule is looked at."""
        return [
            *self._filtered,
            *refused_by(_FILTERING, header_filters(self.settings.request_filtering, self.errors)),
            *(self._refused_visitor(refusal) for refusal in self._refusals),
            *refused_by(
                rule_name("httpRedirect", folder=self.settings.http_redirect.base), redirects(self.settings)
            ),
        ]

    @property
    def _filtered(self) -> list[Node]:
        refusal = If(self.filter, self.errors.refusal_by(self.filter))
        return refused_by(_FILTERING, [refusal]) if self.filtering else []

    def untyped(self) -> list[Node]:
        """Give what refuses a file without a MIME type; what is not there is 404.0 all the same."""
        untyped = self._untyped if self._own_types else Variable("homeport_untyped")
        return [
            directive("set", _REFUSED, untyped),
            # Only such a file is looked for on disk: a look costs as much as all the rest here.
            directive("set", _LOOKED_FOR, ""),
            If(_REFUSED, (directive("set", _LOOKED_FOR, Variable("request_filename")),)),
            If(None, (directive("set", _REFUSED, ""),), operator="!-f", operand=_LOOKED_FOR),
            If(_REFUSED, self.errors.refusal("404", sub_status="3")),
        ]

    def around(self, action: Action, *, limits_body: bool = True) -> list[Node]:
        """Give the directives that hold where an action answers; `limits_body` False where that is said already."""
        protocol = self.settings.http_protocol
        body = min(self.settings.request_filtering.max_content_length, self.most_body_bytes)
        return [
            # 0 would mean: as many as they like.
            *([directive("client_max_body_size", str(max(body, 1)))] if limits_body else []),
            *custom_headers(protocol.custom_headers),
            *([] if protocol.allow_keep_alive else [directive("keepalive_timeout", "0")]),
            *(self._files() if isinstance(action, StaticFiles) else ()),
            *self._compression(action),
            *self.errors.around(action),
        ]

    def before(self, action: Action) -> list[Node]:
        """Give what goes before an action's own directives."""
        refuses = isinstance(action, ProxyToPool) and not self.settings.web_socket
        return [*self.errors.before(action), *(refuse_web_sockets() if refuses else [])]

    def locations(self) -> list[Node]:
        """Give the locations that folders with these settings refer to."""
        return self.errors.locations()

    @property
    def errors(self) -> ErrorHandling:
        """What concerns errors."""
        return ErrorHandling(
            site=self.site, suffix=self._suffix, settings=self.settings, proxies=self.proxies
        )

    @property
    def _suffix(self) -> str:
        return f"{self.number}_{self.label.replace('-', '_')}"

    @property
    def filtering(self) -> bool:
        """Whether anything is refused by method, query or path."""
        return bool(filter_entries(self.settings.request_filtering))

    @property
    def filter(self) -> Variable:
        """The sub-status that a request's method, query and path are refused with; empty where they are not."""
        if self.settings.request_filtering == _DEFAULT_FILTERING:
            return _DEFAULT_FILTER
        return Variable(f"homeport_filter{self._suffix}")

    @property
    def usual_file(self) -> Variable | None:
        """1 for requests that nothing here refuses where files are served; None: each must be looked at."""
        if self.filters() != self._filtered or not _usual_file_entries(self.settings):
            return None
        if self.settings.request_filtering == _DEFAULT_FILTERING and not self._own_types:
            return _DEFAULT_USUAL_FILE
        return Variable(f"homeport_usual_file{self._suffix}")

    @property
    def _untyped(self) -> Variable:
        return Variable(f"homeport_untyped{self._suffix}")

    @property
    def visitor(self) -> Variable | None:
        """The status and sub-status that a visitor is refused with, empty for others; None: nobody is refused."""
        return Variable(f"homeport_visitor{self._suffix}") if self._refusals else None

    @property
    def _refusals(self) -> Collection[str]:
        return dict.fromkeys(refusal for _, refusal in visitor_entries(self.settings))

    def _visitor_map(self) -> list[Node]:
        if self.visitor is None:
            return []
        address = self._address if self.settings.ip_security.refuses else ""
        source = Text(address, " ", Variable("https"), " ", Variable("request_method"))
        entries = [Entry(Plain(pattern), (refusal,)) for pattern, refusal in visitor_entries(self.settings)]
        return [block("map", source, self.visitor, body=entries)]

    def _refused_visitor(self, refusal: str) -> Node:
        status, _, sub_status = refusal.partition(".")
        body = (
            taken_by(rule_name(refusing_section(refusal))),
            *self.errors.refusal(status, sub_status=sub_status),
        )
        return If(self.visitor, body, operator="=", operand=refusal)

    @property
    def _address(self) -> Variable:
        return Variable(f"homeport_address{self._suffix}")

    @property
    def _own_types(self) -> bool:
        return self.settings.static_content.mime_types != DEFAULT_TYPES

    def _untyped_entries(self) -> Sequence[Node]:
        types = dict(self.settings.static_content.mime_types)
        if ".*" in types:
            return [Entry("default", ("",))]
        names = [Entry(Plain(r"~/[^/.]*\z"), ("",))] if "." in types else []
        extensions = [
            Entry(Plain(key), ("",))
            for key in alternatives(
                [re.escape(name[1:]) for name in types if name != "."], before=r"~*\.", after=r"\z"
            )
        ]
        return [
            directive("volatile"),
            Entry("default", ("1",)),
            Entry(Plain(r"~/\z"), ("",)),
            *names,
            *extensions,
        ]

    def _compression(self, action: Action) -> list[Node]:
        compression, usual = self.settings.compression, Compression()
        if isinstance(action, StaticFiles):
            wanted, types = compression.static, compression.static_types
        else:
            wanted, types = compression.dynamic, compression.dynamic_types
        if not wanted or isinstance(action, AnswerOptions | Refuse):
            return []
        if (types, compression.least_bytes) == (usual.static_types, usual.least_bytes):
            return [directive("gzip", "on")]
        return [directive("gzip", "on"), *compressed(types, least_bytes=compression.least_bytes)]

    def _files(self) -> list[Node]:
        content = self.settings.static_content
        nodes: list[Node] = [
            directive("add_header", Text(name), Text(value)) for name, value in content.cache_headers
        ]
        if self._own_types:
            types = dict(content.mime_types)
            by_type: dict[str, list[str]] = {}
            for extension, kind in types.items():
                if extension not in {".", ".*"}:
                    by_type.setdefault(kind, []).append(extension[1:])
            nodes.append(
                block(
                    "types",
                    body=[Entry(Plain(kind), tuple(map(Plain, names))) for kind, names in by_type.items()],
                )
            )
            default = types.get(".*") or types.get(".")
            nodes += [directive("default_type", Plain(default))] if default else []
        if not content.etag:
            nodes.append(directive("etag", "off"))
        if self.settings.directory_browse:
            nodes += [
                directive("autoindex", "on"),
                directive("autoindex_exact_size", "off"),
                directive("autoindex_localtime", "on"),
            ]
        return nodes


def compressed(types: tuple[tuple[str, bool], ...], *, least_bytes: int) -> list[Node]:
    """Say which types are compressed, and from how many bytes on; nginx adds text/html to them by itself."""
    kinds = [Plain(kind) for kind in compressed_types(types) if kind != "text/html"]
    return [
        directive("gzip_types", *(kinds or [Plain("text/html")])),
        directive("gzip_min_length", str(least_bytes)),
    ]
