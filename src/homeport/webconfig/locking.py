"""Locks: what a file higher up forbids those below it to change (IIS reference §1.2, §1.11)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from homeport.webconfig.document import Document, Element
from homeport.webconfig.inheritance import GROUPS, Layer
from homeport.webconfig.reading import Fault
from homeport.webconfig.schema import LOCK_ATTRIBUTES

_Path = tuple[str, ...]
_ENTRIES = frozenset({"add", "remove", "clear"})


def uses_locks(documents: Iterable[Document | str]) -> bool:
    """Tell whether any document locks anything: nearly none does, and the rest is then not needed."""
    return any(
        name in LOCK_ATTRIBUTES or name in {"allowOverride", "overrideMode"}
        for document in documents
        if isinstance(document, Document)
        for element in document.root.below()
        for name, _ in element.attributes
    )


@dataclass(slots=True)
class Locks:
    """The locks in force while the layers of a folder are gone through, outermost first."""

    _sections: dict[_Path, str] = field(default_factory=dict)
    _attributes: dict[_Path, "_Names"] = field(default_factory=dict)
    _elements: dict[_Path, "_Names"] = field(default_factory=dict)
    _items: dict[_Path, list[frozenset[tuple[str, str]]]] = field(default_factory=dict)

    def pass_through(self, layer: Layer) -> None:
        """Check a layer against the locks of those before it, then add its own. Raises `Fault`."""
        if layer.container is None:
            return
        for path, section in _sections(layer.container, ()):
            if path in self._sections:
                raise _locked(f"<{section.name}>", section, by=self._sections[path])
            self._check(section, path)
        for path, section in _sections(layer.container, ()):
            if _denies_override(layer.container):
                self._sections[path] = f"line {layer.container.line} of {layer.file}"
            self._lock(section, path, layer)

    def _check(self, element: Element, path: _Path) -> None:
        attributes = self._attributes.get(path)
        for name, _ in element.attributes:
            if attributes and attributes.hold(name):
                raise _locked(f"'{name}' of <{element.name}>", element, by=attributes.place)
        elements = self._elements.get(path)
        for child in element.children:
            if elements and elements.hold(child.name):
                raise _locked(f"<{child.name}> in <{element.name}>", child, by=elements.place)
            if child.name in _ENTRIES:
                self._check_entry(child, path)
            else:
                self._check(child, (*path, child.name))

    def _check_entry(self, entry: Element, path: _Path) -> None:
        items = self._items.get(path, [])
        removed = frozenset((name, value.lower()) for name, value in entry.attributes)
        if items and (
            entry.name == "clear" or (entry.name == "remove" and any(removed <= item for item in items))
        ):
            raise _locked(f"<{entry.name}>", entry, by="lockItem")

    def _lock(self, element: Element, path: _Path, layer: Layer) -> None:
        place = f"line {element.line} of {layer.file}"
        for names, target, everything_but in (
            ("lockAttributes", self._attributes, False),
            ("lockAllAttributesExcept", self._attributes, True),
            ("lockElements", self._elements, False),
            ("lockAllElementsExcept", self._elements, True),
        ):
            written = element.get(names)
            if written is not None:
                target[path] = _Names(_list(written), everything_but=everything_but, place=place)
        for child in element.children:
            if child.name in _ENTRIES:
                if child.name == "add" and (child.get("lockItem") or "").lower() == "true":
                    values = frozenset(
                        (name, value.lower())
                        for name, value in child.attributes
                        if name not in LOCK_ATTRIBUTES
                    )
                    self._items.setdefault(path, []).append(values)
            else:
                self._lock(child, (*path, child.name), layer)
        if (element.get("lockItem") or "").lower() == "true":
            self._sections[path] = place


@dataclass(frozen=True, slots=True)
class _Names:
    names: frozenset[str]
    everything_but: bool = field(kw_only=True)
    place: str = field(kw_only=True)

    def hold(self, name: str) -> bool:
        if name in LOCK_ATTRIBUTES:
            return False
        listed = name.lower() in self.names
        return not listed if self.everything_but else listed or "*" in self.names


def _sections(container: Element, path: _Path) -> Iterator[tuple[_Path, Element]]:
    for child in container.children:
        if child.name in GROUPS:
            yield from _sections(child, (*path, child.name))
        elif child.name not in {"location", "appSettings", "connectionStrings"}:
            yield (*path, child.name), child


def _denies_override(container: Element) -> bool:
    if container.name != "location":
        return False
    mode = (container.get("overrideMode") or "Inherit").lower()
    return mode == "deny" or (
        mode == "inherit" and (container.get("allowOverride") or "true").lower() == "false"
    )


def _list(written: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in written.split(",") if part.strip())


def _locked(what: str, element: Element, *, by: str) -> Fault:
    return Fault(
        "locked",
        f"{what} is locked at a higher level, by {by} (0x80070021).",
        line=element.line,
        remedy="Remove it here, or the lock there.",
    )


def check_location_modes(container: Element) -> None:
    """Check the words of a `<location>`'s switches. Raises `Fault`."""
    known: Mapping[str, frozenset[str]] = {
        "overrideMode": frozenset({"inherit", "allow", "deny"}),
        "allowOverride": frozenset({"true", "false"}),
        "inheritInChildApplications": frozenset({"true", "false"}),
    }
    for name, words in known.items():
        value = container.get(name)
        if value is not None and value.lower() not in words:
            raise Fault(
                "invalid-value",
                f"'{name}' of <location> is '{value[:60]}'; it must be one of {', '.join(sorted(words))}.",
                line=container.line,
            )
