"""Merging the sections that say something about a folder into its settings."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from homeport.model.finding import Finding
from homeport.webconfig.bounds import MOST_APPLICATIONS
from homeport.webconfig.document import Element
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.inheritance import Layer
from homeport.webconfig.locking import Locks, check_location_modes
from homeport.webconfig.reading import Fault
from homeport.webconfig.sections.compression import apply_http_compression, apply_url_compression
from homeport.webconfig.sections.default_document import (
    apply_default_document,
    apply_directory_browse,
)
from homeport.webconfig.sections.http_errors import apply_http_errors
from homeport.webconfig.sections.http_protocol import (
    apply_http_protocol,
    apply_web_socket,
    framing_headers,
)
from homeport.webconfig.sections.http_redirect import apply_http_redirect
from homeport.webconfig.sections.request_filtering import (
    apply_request_filtering,
    unknown_headers,
)
from homeport.webconfig.sections.security import (
    apply_access,
    apply_anonymous,
    apply_authorization,
    apply_ip_security,
    closed_doors,
)
from homeport.webconfig.sections.static_content import apply_static_content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A section: where it stands, the field it sets, how it is applied, and what else its owner should know.

    `placed` ones hold paths that are relative to the folder they are written for.
    """

    path: tuple[str, ...]
    field: str
    apply: Callable[..., Any]
    placed: bool = False
    findings: Callable[..., list[Finding]] | None = None


def _section(
    path: str,
    field: str,
    apply: Callable[..., Any],
    *,
    placed: bool = False,
    findings: Callable[..., list[Finding]] | None = None,
) -> _Section:
    return _Section(path=tuple(path.split("/")), field=field, apply=apply, placed=placed, findings=findings)


_SECTIONS = (
    _section("defaultDocument", "default_document", apply_default_document),
    _section("directoryBrowse", "directory_browse", apply_directory_browse),
    _section("httpCompression", "compression", apply_http_compression),
    _section("httpErrors", "http_errors", apply_http_errors, placed=True),
    _section("httpProtocol", "http_protocol", apply_http_protocol, findings=framing_headers),
    _section("httpRedirect", "http_redirect", apply_http_redirect, placed=True),
    _section("security/access", "access", apply_access, findings=closed_doors),
    _section(
        "security/authentication/anonymousAuthentication", "access", apply_anonymous, findings=closed_doors
    ),
    _section("security/authorization", "access", apply_authorization),
    _section("security/ipSecurity", "ip_security", apply_ip_security),
    _section(
        "security/requestFiltering", "request_filtering", apply_request_filtering, findings=unknown_headers
    ),
    _section("staticContent", "static_content", apply_static_content),
    _section("urlCompression", "compression", apply_url_compression),
    _section("webSocket", "web_socket", apply_web_socket),
)


@dataclass(slots=True)
class SettingsReader:
    """Reads the settings of a site's folders; it counts what it does, because a tenant's files decide how much."""

    checks_locks: bool = False
    left: int = MOST_APPLICATIONS
    findings: list[Finding] = field(default_factory=list)

    def read(self, layers: Iterable[Layer]) -> FolderSettings:
        """Merge the layers that hold for a folder, outermost first.

        Raises `LayerFault` for the first section that IIS refuses; what else it would refuse is among the findings.
        """
        settings = FolderSettings()
        faults: list[LayerFault] = []
        locks = Locks()
        for layer in layers:
            if self.checks_locks:
                self._check_locks(layer, locks)
            for section in _SECTIONS:
                for element in layer.sections("system.webServer", *section.path):
                    try:
                        settings = self._apply(section, element, settings, layer)
                    except LayerFault as fault:
                        if self.left < 0:
                            raise
                        faults.append(fault)
        if faults:
            self.findings += [fault.finding for fault in faults[1:]]
            raise faults[0]
        return settings

    def _check_locks(self, layer: Layer, locks: Locks) -> None:
        self.left -= 1
        try:
            if layer.container is not None and layer.container.name == "location":
                check_location_modes(layer.container)
            locks.pass_through(layer)
        except Fault as fault:
            raise LayerFault(fault.finding(layer.file)) from fault

    def _apply(
        self, section: _Section, element: Element, settings: FolderSettings, layer: Layer
    ) -> FolderSettings:
        self.left -= 1
        try:
            if self.left < 0:
                raise Fault("too-many-entries", "The site has too many sections in too many folders.", line=0)
            inherited = getattr(settings, section.field)
            placed = {"base": layer.folder} if section.placed else {}
            value = section.apply(element, inherited, **placed)
        except Fault as fault:
            raise LayerFault(fault.finding(layer.file)) from fault
        if section.findings is not None:
            self.findings += section.findings(element, file=layer.file)
        return replace(settings, **{section.field: value})


class LayerFault(Exception):
    """A section of a folder that IIS answers 500.19 to, as the finding for its owner."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding
