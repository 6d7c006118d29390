"""SiteExtensionInfo: one shape for what a feed offers and what is installed (Kudu reference §7.2). Pure."""

from dataclasses import asdict, dataclass, field
from typing import Any

DEFAULT_ICON = "https://www.nuget.org/Content/gallery/img/default-package-icon.svg"
"""What NuGet shows for a package without an icon of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionInfo:
    """Every member of the answer, under its name on the wire; None is sent as null."""

    id: str
    title: str
    version: str
    type: str = "Gallery"
    summary: str | None = None
    description: str | None = None
    extension_url: str | None = None
    project_url: str | None = None
    icon_url: str = DEFAULT_ICON
    license_url: str | None = None
    feed_url: str | None = None
    authors: tuple[str, ...] = field(default_factory=tuple)
    installer_command_line_params: str | None = None
    published_date_time: str | None = None
    download_count: int = 0
    local_is_latest_version: bool | None = None
    local_path: str | None = None
    installed_date_time: str | None = None
    provisioningState: str | None = None  # noqa: N815 — the wire's name
    comment: str | None = None
    packageUri: str | None = None  # noqa: N815 — the wire's name

    def to_json(self) -> dict[str, Any]:
        """Return the object of the API."""
        return {**asdict(self), "authors": list(self.authors)}

    def matches(self, text: str | None) -> bool:
        """Tell whether a search means this one: its id or a part of its title or id; `field:text` is its text."""
        wanted = (text or "").rpartition(":")[2].strip().strip("\"'").casefold()
        return not wanted or wanted in self.id.casefold() or wanted in self.title.casefold()


def python_info(extension_id: str, version: str, *, note: str = "") -> ExtensionInfo:
    """Describe a Python of the gallery under the id that it is asked for by."""
    return ExtensionInfo(
        id=extension_id,
        title=f"Python {version} x64",
        version=version,
        summary=f"Python {version} as D:\\home\\{extension_id.removeprefix('azureappservice-')}.",
        description=note or f"CPython {version} with pip and wfastcgi.",
        project_url="https://www.python.org/",
        license_url="https://docs.python.org/3/license.html",
        authors=("Python Software Foundation",),
    )
