"""`<system.webServer><defaultDocument>` and `<directoryBrowse>`: what a folder answers (IIS reference §5.4)."""

from collections.abc import Mapping
from dataclasses import dataclass

from homeport.webconfig.document import Element
from homeport.webconfig.merging import merged
from homeport.webconfig.reading import Fault, boolean, flags, required_text
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

DEFAULT_DOCUMENTS = (
    "Default.htm",
    "Default.html",
    "Default.asp",
    "index.htm",
    "index.html",
    "iisstart.htm",
    "default.aspx",
    "index.php",
    "hostingstart.html",
)
"""What App Service tries for a folder, in order (IIS reference §5.4)."""

_SHOW_FLAGS: Mapping[str, str] = {
    flag.lower(): flag for flag in ("None", "Date", "Time", "Size", "Extension", "LongDate")
}

DEFAULT_DOCUMENT_TABLE = ElementRow(
    name="defaultDocument",
    attributes=full("enabled"),
    children=(
        ElementRow(
            name="files",
            children=(
                ElementRow(name="add", attributes=full("value")),
                ElementRow(name="remove", attributes=full("value")),
                ElementRow(name="clear"),
            ),
        ),
    ),
)
DIRECTORY_BROWSE_TABLE = ElementRow(
    name="directoryBrowse",
    attributes=(
        *full("enabled"),
        AttributeRow(
            name="showFlags",
            support=Support.PARTIAL,
            note="Size, date and time are shown always, and extensions.",
        ),
        AttributeRow(name="virtualDirectoryTimeout", support=Support.IRRELEVANT),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultDocument:
    """The files that are tried for a folder, in order; they stay known while `enabled` is false."""

    enabled: bool = True
    files: tuple[str, ...] = DEFAULT_DOCUMENTS

    @property
    def tried(self) -> tuple[str, ...]:
        """Give the files that are really tried."""
        return self.files if self.enabled else ()


def apply_default_document(section: Element, inherited: DefaultDocument) -> DefaultDocument:
    """Apply one section to what it inherits: its own files go first. Raises `Fault`."""
    files = inherited.files
    for collection in section.named("files"):
        files = merged(
            collection,
            files,
            make=_file,
            key=str.lower,
            removed=lambda element: required_text(element, "value").lower(),
            prepend=True,
        )
    return DefaultDocument(enabled=boolean(section, "enabled", default=inherited.enabled), files=files)


def apply_directory_browse(section: Element, inherited: bool) -> bool:  # noqa: FBT001 (a value, not a switch)
    """Tell whether a folder without a default document is listed. Raises `Fault`."""
    flags(section, "showFlags", default=frozenset(), known=_SHOW_FLAGS)
    return boolean(section, "enabled", default=inherited)


def _file(element: Element) -> str:
    name = required_text(element, "value")
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
        raise Fault(
            "invalid-value",
            f"'{name}' is no name of a default document: it must lie in the folder that is asked for.",
            line=element.line,
        )
    return name.replace("\\", "/")
