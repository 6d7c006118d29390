"""Merging the sections that say something about a folder into its settings."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from homeport.model.finding import Finding
from homeport.webconfig.bounds import MOST_APPLICATIONS
from homeport.webconfig.document import Element
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.inheritance import Layer
from homeport.webconfig.reading import Fault
from homeport.webconfig.sections.default_document import (
    apply_default_document,
    apply_directory_browse,
)
from homeport.webconfig.sections.http_protocol import (
    apply_http_protocol,
    apply_web_socket,
    framing_headers,
)
from homeport.webconfig.sections.request_filtering import (
    apply_request_filtering,
    unknown_headers,
)
from homeport.webconfig.sections.static_content import apply_static_content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A section: where it stands, the field it sets, how it is applied, and what else its owner should know."""

    path: tuple[str, ...]
    field: str
    apply: Callable[[Element, Any], Any]
    findings: Callable[..., list[Finding]] | None = None


_SECTIONS = (
    _Section(path=("defaultDocument",), field="default_document", apply=apply_default_document),
    _Section(path=("directoryBrowse",), field="directory_browse", apply=apply_directory_browse),
    _Section(
        path=("httpProtocol",), field="http_protocol", apply=apply_http_protocol, findings=framing_headers
    ),
    _Section(
        path=("security", "requestFiltering"),
        field="request_filtering",
        apply=apply_request_filtering,
        findings=unknown_headers,
    ),
    _Section(path=("staticContent",), field="static_content", apply=apply_static_content),
    _Section(path=("webSocket",), field="web_socket", apply=apply_web_socket),
)


@dataclass(slots=True)
class SettingsReader:
    """Reads the settings of a site's folders; it counts what it does, because a tenant's files decide how much."""

    left: int = MOST_APPLICATIONS
    findings: list[Finding] = field(default_factory=list)

    def read(self, layers: Iterable[Layer]) -> FolderSettings:
        """Merge the layers that hold for a folder, outermost first. Raises `LayerFault` for a section IIS refuses."""
        settings = FolderSettings()
        for layer in layers:
            for section in _SECTIONS:
                for element in layer.sections("system.webServer", *section.path):
                    settings = self._apply(section, element, settings, layer)
        return settings

    def _apply(
        self, section: _Section, element: Element, settings: FolderSettings, layer: Layer
    ) -> FolderSettings:
        self.left -= 1
        try:
            if self.left < 0:
                raise Fault("too-many-entries", "The site has too many sections in too many folders.", line=0)
            value = section.apply(element, getattr(settings, section.field))
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
