"""From the settings of a folder to the nginx directives that make them true."""

from collections.abc import Sequence
from dataclasses import dataclass

from homeport.node.nginx.filtering import alternatives, filter_entries, header_filters
from homeport.node.nginx.writer import Entry, If, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.plan import Action, StaticFiles
from homeport.webconfig.sections.http_protocol import FRAMING_HEADERS
from homeport.webconfig.sections.static_content import DEFAULT_TYPES

_REFUSED = Variable("homeport_refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderConfiguration:
    """Compiles settings that one or more folders of a site have; `number` tells them from the site's others."""

    site: str
    number: int
    settings: FolderSettings
    most_body_bytes: int

    def maps(self) -> list[Node]:
        """Give the blocks that stand outside the server block."""
        nodes: list[Node] = []
        entries = filter_entries(self.settings.request_filtering)
        if entries:
            # Method and query hold no blank, so each pattern knows where the path begins.
            source = Text(Variable("request_method"), " ", Variable("args"), " ", Variable("uri"))
            nodes.append(block("map", source, self.filter, body=[directive("volatile"), *entries]))
        if self._own_types:
            nodes.append(block("map", Variable("uri"), self._untyped, body=self._untyped_entries()))
        return nodes

    def filters(self) -> list[Node]:
        """Give what refuses a request before any rule is looked at."""
        filtering = self.settings.request_filtering
        filtered = [If(self.filter, (directive("return", "404"),))] if filter_entries(filtering) else []
        return [*filtered, *header_filters(filtering)]

    def untyped(self) -> list[Node]:
        """Give what refuses a file without a MIME type."""
        untyped = self._untyped if self._own_types else Variable("homeport_untyped")
        return [
            directive("set", _REFUSED, untyped),
            If(None, (directive("set", _REFUSED, ""),), operator="-d", operand=Variable("request_filename")),
            If(_REFUSED, (directive("return", "404"),)),
        ]

    def around(self, action: Action) -> list[Node]:
        """Give the directives that hold where an action answers."""
        protocol = self.settings.http_protocol
        body = min(self.settings.request_filtering.max_content_length, self.most_body_bytes)
        return [
            directive("client_max_body_size", str(max(body, 1))),  # 0 would mean: as many as they like
            *self._headers(),
            *([] if protocol.allow_keep_alive else [directive("keepalive_timeout", "0")]),
            *(self._files() if isinstance(action, StaticFiles) else ()),
        ]

    def locations(self) -> list[Node]:
        """Give the locations that folders with these settings refer to."""
        return []

    @property
    def _suffix(self) -> str:
        return f"{self.number}_{self.site.replace('-', '_')}"

    @property
    def filtering(self) -> bool:
        """Whether anything is refused by method, query or path."""
        return bool(filter_entries(self.settings.request_filtering))

    @property
    def filter(self) -> Variable:
        """The sub-status that a request's method, query and path are refused with; empty where they are not."""
        return Variable(f"homeport_filter{self._suffix}")

    @property
    def _untyped(self) -> Variable:
        return Variable(f"homeport_untyped{self._suffix}")

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
            for key in alternatives([name[1:] for name in types if name != "."], before=r"~*\.", after=r"\z")
        ]
        return [
            directive("volatile"),
            Entry("default", ("1",)),
            Entry(Plain(r"~/\z"), ("",)),
            *names,
            *extensions,
        ]

    def _headers(self) -> list[Node]:
        return [
            directive("add_header", Text(name), Text(value), "always")
            for name, value in self.settings.http_protocol.custom_headers
            if name.lower() not in FRAMING_HEADERS
        ]

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
