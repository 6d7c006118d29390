"""The chain of configuration that holds for a folder: files from the root down, each with its <location>s.

IIS reference §1.1, §1.11: for a folder there hold, in this order, each ancestor's file from the root down, and right
after each file those of its <location>s that name the folder or an ancestor of it, shallow before deep.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from homeport.model.finding import Finding
from homeport.webconfig.bounds import MOST_LAYERS, MOST_LOCATIONS
from homeport.webconfig.document import Document, Element
from homeport.webconfig.plan import CONTENT_ROOT
from homeport.webconfig.reading import Fault, text
from homeport.windows.layout import Layout
from homeport.windows.paths import ListFolder, map_path

GROUPS = frozenset({"system.webServer", "security", "authentication", "rewrite", "tracing"})
"""Elements that hold sections and are none themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One piece of configuration: `folder` (`/`, `/static/`) it holds for, its file, the element around its sections.

    `container` is None where the piece cannot be read; `fault` then says why.
    """

    folder: str
    file: str
    container: Element | None
    fault: str = ""

    def sections(self, *path: str) -> Iterator[Element]:
        """Iterate over the sections at a path of groups: `"system.webServer", "security", "ipSecurity"`."""
        found = [] if self.container is None else [self.container]
        for name in path:
            found = [child for element in found for child in element.named(name)]
        return iter(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """All layers of a site, in the order in which they apply."""

    layers: tuple[Layer, ...]

    @property
    def folders(self) -> tuple[str, ...]:
        """Every folder that something is said about, the root first, parents before their children."""
        return tuple(
            sorted({"/", *(layer.folder for layer in self.layers)}, key=lambda path: (path.count("/"), path))
        )

    def below(self, layer: Layer | None) -> "Chain":
        """Give this chain with a layer around all others."""
        return self if layer is None else Chain(layers=(layer, *self.layers))

    def layers_of(self, folder: str) -> tuple[Layer, ...]:
        """Return the layers that hold for a folder, outermost first."""
        return tuple(layer for layer in self.layers if folder.startswith(layer.folder))


def folder_url(folder: str) -> str:
    """Give the URL of a folder of the content: `""` → `/`, `static/img` → `/static/img/`."""
    return f"/{folder}/" if folder else "/"


def build_chain(
    documents: Mapping[str, Document | str], *, list_folder: ListFolder | None
) -> tuple[Chain, list[Finding]]:
    """Order the documents of a site by folder (`""` is the root); a text stands for an unreadable one: its error code.

    Findings are the <location>s that cannot be used.
    """
    layers: list[Layer] = []
    findings: list[Finding] = []
    for folder in sorted(documents, key=lambda path: (path.count("/") + bool(path), path)):
        document, base = documents[folder], folder_url(folder)
        if isinstance(document, str):
            layers.append(Layer(folder=base, file="", container=None, fault=document))
            continue
        layers.append(Layer(folder=base, file=document.file, container=document.root))
        located, problems = _locations(document, base=base, list_folder=list_folder)
        layers += located
        findings += problems
    if len(layers) > MOST_LAYERS:
        problem = Fault(
            "too-many-entries",
            f"The site has {len(layers)} pieces of configuration in files and <location>s; it may have {MOST_LAYERS}.",
            line=0,
        )
        findings.append(problem.finding(""))
        layers = [Layer(folder="/", file="", container=None, fault=problem.code)]
    return Chain(layers=tuple(layers)), findings


def _locations(
    document: Document, *, base: str, list_folder: ListFolder | None
) -> tuple[list[Layer], list[Finding]]:
    layers: list[Layer] = []
    findings: list[Finding] = []
    elements = list(document.root.named("location"))
    if len(elements) > MOST_LOCATIONS:
        fault = Fault(
            "too-many-entries",
            f"The file has {len(elements)} <location>s; it may have {MOST_LOCATIONS}.",
            line=elements[MOST_LOCATIONS].line,
        )
        elements = []
        findings.append(fault.finding(document.file))
        layers.append(Layer(folder=base, file=document.file, container=None, fault=fault.code))
    for element in elements:
        try:
            folder = _target(element, base=base, list_folder=list_folder)
            _refuse_second(element, folder, layers)
        except Fault as fault:
            findings.append(fault.finding(document.file))
            layers.append(Layer(folder=base, file=document.file, container=None, fault=fault.code))
        else:
            layers.append(Layer(folder=folder, file=document.file, container=element))
    return sorted(layers, key=lambda layer: layer.folder.count("/")), findings


def _target(element: Element, *, base: str, list_folder: ListFolder | None) -> str:
    """Say which folder a <location> is for, in the spelling of the disk. Raises `Fault`."""
    path = text(element, "path").strip()
    parts = [part for part in re.split(r"[\\/]", path) if part not in {"", "."}]
    if ".." in parts:
        raise Fault(
            "location-path",
            f"<location path='{path}'> leads out of its folder.",
            line=element.line,
            remedy="Name a folder or file below the one of this web.config.",
        )
    if not parts:
        return base
    inside = posixpath.join(base.strip("/"), *parts)
    mapped = map_path(f"{CONTENT_ROOT}/{inside}", Layout(), variables={}, list_folder=list_folder)
    spelled = mapped.posix.removeprefix(f"{CONTENT_ROOT}/") if mapped.posix else inside
    return folder_url(spelled)


def _refuse_second(element: Element, folder: str, layers: list[Layer]) -> None:
    """No two <location>s of a file may set the same section for the same path. Raises `Fault`."""
    mine = set(_section_names(element))
    for layer in layers:
        if layer.folder == folder and layer.container is not None:
            both = mine & set(_section_names(layer.container))
            if both:
                raise Fault(
                    "duplicate-location",
                    f"<location path='{element.get('path') or ''}'> sets <{min(both)}> a second time; "
                    f"the first is on line {layer.container.line}.",
                    line=element.line,
                    remedy="Put both into one <location>.",
                )


def _section_names(container: Element) -> Iterator[str]:
    for child in container.children:
        if child.name in GROUPS:
            yield from _section_names(child)
        else:
            yield child.name
