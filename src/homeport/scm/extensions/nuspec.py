"""The description inside a NuGet package, and the address an extension adds to the SCM site. Pure."""

import re
from xml.etree import ElementTree

from homeport.model.errors import Invalid
from homeport.scm.extensions.info import DEFAULT_ICON, ExtensionInfo
from homeport.scm.extensions.versions import PackageVersion

_ID = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?")
_MOST_TEXT = 20_000


def package_id(text: str) -> str:
    """Check the id of a package, which becomes the name of a folder. Raises `Invalid`."""
    if not _ID.fullmatch(text) or ".." in text:
        raise Invalid(
            f"'{text[:100]}' is not the id of a site extension: use letters, digits, dots and hyphens."
        )
    return text


def parse_nuspec(data: bytes) -> ExtensionInfo:
    """Read a `.nuspec`. Raises `Invalid`."""
    root = _parsed(data, "The package's .nuspec")
    found = {}
    for element in root.iter():
        name = _local(element.tag)
        if name not in found and element.text and element.text.strip():
            found[name] = element.text.strip()[:_MOST_TEXT]
    identity, version = package_id(found.get("id", "")), str(PackageVersion(found.get("version", "")))
    return ExtensionInfo(
        id=identity,
        title=found.get("title", identity),
        version=version,
        summary=found.get("summary"),
        description=found.get("description"),
        project_url=found.get("projectUrl"),
        license_url=found.get("licenseUrl"),
        icon_url=found.get("iconUrl") or DEFAULT_ICON,
        authors=authors_of(found.get("authors", "")),
    )


def authors_of(text: str) -> tuple[str, ...]:
    """Split the authors of a package."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def application_path(data: bytes) -> str | None:
    """Return the first `application/@path` of a transform; None where there is none or it is broken."""
    try:
        root = _parsed(data, "The transform")
    except Invalid:
        return None
    paths = (element.get("path") for element in root.iter() if _local(element.tag) == "application")
    return next((path for path in paths if path), None)


def default_transform(extension_id: str) -> bytes:
    """Return the transform of an extension that brings none: an application at `/<id>` of the SCM site."""
    checked = package_id(extension_id)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<configuration xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform">\n'
        "  <system.applicationHost>\n    <sites>\n"
        '      <site name="%XDT_SCMSITENAME%" xdt:Locator="Match(name)">\n'
        f'        <application path="/{checked}" applicationPool="%XDT_APPPOOLNAME%" '
        'xdt:Locator="Match(path)" xdt:Transform="InsertIfMissing">\n'
        '          <virtualDirectory path="/" physicalPath="%XDT_EXTENSIONPATH%" />\n'
        "        </application>\n      </site>\n    </sites>\n  </system.applicationHost>\n</configuration>\n"
    ).encode()


def _parsed(data: bytes, what: str) -> ElementTree.Element:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Invalid(f"{what} holds a document type, which no package needs.")
    try:
        return ElementTree.fromstring(data)  # noqa: S314 — no document type gets here, so no entities
    except ElementTree.ParseError as error:
        raise Invalid(f"{what} is not well-formed: {error}.") from error


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]
