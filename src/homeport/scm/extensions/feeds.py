"""NuGet feeds, v3 (JSON) and v2 (OData), as far as site extensions need them. Blocks: call it from a thread."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit
from xml.etree import ElementTree

from homeport.model.errors import Invalid, NotFound, Unavailable
from homeport.scm.deployments.fetching import Unreachable, fetch_package, is_package_address
from homeport.scm.extensions.info import DEFAULT_ICON, ExtensionInfo
from homeport.scm.extensions.nuspec import authors_of, package_id
from homeport.scm.extensions.versions import PackageVersion

_MOST_BYTES = 16 * 1024 * 1024
_MOST_FOUND = 200
_MOST_REDIRECTS = 5
_SECONDS = 30.0
_ATOM = "{http://www.w3.org/2005/Atom}"
_DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
_META = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Offer:
    """One package of a feed and where it is downloaded from."""

    info: ExtensionInfo
    download: str


class Feed:
    """One feed by its address. Every method raises `Unavailable` when it cannot be read, `Invalid` when it is none."""

    def __init__(self, address: str) -> None:
        """Check the address; raises `Invalid`."""
        if not _is_web_address(address):
            raise Invalid(
                f"'{address}' is not the address of a feed: give an absolute http or https address."
            )
        self.address = address

    def search(self, text: str, *, prerelease: bool) -> list[ExtensionInfo]:
        """Return the newest version of each package that a text finds, all for an empty text."""
        document = self._document()
        if isinstance(document, dict):
            offers = self._search_v3(document, text, prerelease=prerelease)
        else:
            query = (
                f"searchTerm='{_odata(text)}'&targetFramework=''&includePrerelease={str(prerelease).lower()}"
            )
            offers = self._entries(f"Search()?$filter=IsLatestVersion&{query}&$top={_MOST_FOUND}")
        newest: dict[str, Offer] = {}
        for offer in _usable(offers, prerelease=prerelease):
            key = offer.info.id.casefold()
            if key not in newest or _version(newest[key]) < _version(offer):
                newest[key] = offer
        return [offer.info for offer in newest.values()][:_MOST_FOUND]

    def find(self, identity: str, *, version: str | None, prerelease: bool) -> Offer:
        """Return one package: the version that is asked for, or the newest. Raises `NotFound`."""
        package_id(identity)
        document = self._document()
        if isinstance(document, dict):
            offers = self._versions_v3(document, identity)
        else:
            offers = self._entries(f"FindPackagesById()?id='{_odata(identity)}'")
        mine = [offer for offer in offers if offer.info.id.casefold() == identity.casefold()]
        if version is not None:
            wanted = PackageVersion(version)
            mine = [offer for offer in mine if _version(offer) == wanted]
        else:
            mine = list(_usable(mine, prerelease=prerelease)) or mine
        if not mine:
            which = f" {version}" if version else ""
            raise NotFound(f"Could not find the package '{identity}'{which} in the feed {self.address}.")
        return max(mine, key=_version)

    def _document(self) -> dict[str, Any] | None:
        """Return a v3 index; None for a v2 feed, whose answers are XML."""
        data = _read(self.address).removeprefix(_BOM)
        if data.lstrip()[:1] != b"{":
            return None
        return _object(data, self.address)

    def _search_v3(self, index: dict[str, Any], text: str, *, prerelease: bool) -> list[Offer]:
        base = _resource(index, "SearchQueryService", self.address)
        query = f"q={quote(text)}&prerelease={str(prerelease).lower()}&semVerLevel=2.0.0&take={_MOST_FOUND}"
        found = _object(_read(f"{base}{'&' if '?' in base else '?'}{query}"), base)
        items = found.get("data")
        return (
            [_offer_v3(item, "") for item in items if isinstance(item, dict)]
            if isinstance(items, list)
            else []
        )

    def _versions_v3(self, index: dict[str, Any], identity: str) -> list[Offer]:
        base = _resource(index, "PackageBaseAddress", self.address).rstrip("/")
        lowered = identity.lower()
        try:
            listed = _object(_read(f"{base}/{lowered}/index.json"), base).get("versions")
        except NotFound:
            return []
        versions = [str(version) for version in listed] if isinstance(listed, list) else []
        known = {info.id.casefold(): info for info in self._known_v3(index, identity)}
        about = known.get(lowered) or ExtensionInfo(id=identity, title=identity, version="0")
        return [
            Offer(
                _with_version(about, version),
                f"{base}/{lowered}/{version.lower()}/{lowered}.{version.lower()}.nupkg",
            )
            for version in versions
        ]

    def _known_v3(self, index: dict[str, Any], identity: str) -> list[ExtensionInfo]:
        try:
            return [offer.info for offer in self._search_v3(index, f"packageid:{identity}", prerelease=True)]
        except (Unavailable, Invalid, NotFound):
            return []  # a feed without search still has its packages

    def _entries(self, below: str) -> list[Offer]:
        base = self.address.rstrip("/") + "/"
        data = _read(urljoin(base, below))
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise Invalid(f"The feed {self.address} holds a document type.")
        try:
            root = ElementTree.fromstring(data)  # noqa: S314 — no document type gets here, so no entities
        except ElementTree.ParseError as error:
            raise Invalid(f"The feed {self.address} is neither NuGet v3 nor v2: {error}.") from error
        return [_offer_v2(entry, base) for entry in root.iter(f"{_ATOM}entry")]


def download(offer_address: str, target: Path, *, checkpoint: Callable[[], None] = lambda: None) -> None:
    """Store a package; raises `Unavailable`, and `Invalid` for an address that is none of the web."""
    if not is_package_address(offer_address):
        raise Invalid(
            f"The feed names '{offer_address[:200]}' as the package's address, which is not http or https."
        )
    try:
        fetch_package(offer_address, target, timeout_seconds=_SECONDS, checkpoint=checkpoint)
    except Unreachable as error:
        raise Unavailable(str(error), code="PackageUnreachable") from error


def _read(address: str) -> bytes:
    import httpx

    data = b""
    try:
        with (
            httpx.Client(timeout=_SECONDS, max_redirects=_MOST_REDIRECTS, follow_redirects=True) as client,
            client.stream("GET", address) as response,
        ):
            if response.status_code == 404:
                raise NotFound(f"{_shown(address)} does not exist.")
            if response.status_code != 200:
                raise Unavailable(f"The feed {_shown(address)} answered {response.status_code}.")
            for chunk in response.iter_bytes(65536):
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise Invalid(f"The feed {_shown(address)} answers with more than {_MOST_BYTES} bytes.")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(f"The feed {_shown(address)} cannot be read: {type(error).__name__}.") from error
    return data


def _shown(address: str) -> str:
    """Leave out what may hold a secret: credentials and the query."""
    if not _is_web_address(address):
        return f"'{address[:200]}'"
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _object(data: bytes, address: str) -> dict[str, Any]:
    try:
        value = json.loads(data.removeprefix(_BOM))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"The feed {_shown(address)} answers no JSON.") from error
    if not isinstance(value, dict):
        raise Invalid(f"The feed {_shown(address)} answers no JSON object.")
    return value


def _resource(index: dict[str, Any], kind: str, address: str) -> str:
    resources = index.get("resources")
    for resource in resources if isinstance(resources, list) else []:
        if isinstance(resource, dict) and str(resource.get("@type", "")).split("/")[0] == kind:
            return _joined(address, str(resource.get("@id", "")))
    raise Invalid(f"The feed {_shown(address)} offers no {kind}.")


def _offer_v3(item: dict[str, Any], address: str) -> Offer:
    authors = item.get("authors")
    count = item.get("totalDownloads")
    return Offer(
        ExtensionInfo(
            id=str(item.get("id") or ""),
            title=str(item.get("title") or item.get("id") or ""),
            version=str(item.get("version") or ""),
            summary=_text(item.get("summary")),
            description=_text(item.get("description")),
            project_url=_text(item.get("projectUrl")),
            license_url=_text(item.get("licenseUrl")),
            icon_url=_text(item.get("iconUrl")) or DEFAULT_ICON,
            authors=tuple(map(str, authors)) if isinstance(authors, list) else authors_of(str(authors or "")),
            published_date_time=_text(item.get("published")),
            download_count=count if isinstance(count, int) else 0,
        ),
        address,
    )


def _offer_v2(entry: ElementTree.Element, base: str) -> Offer:
    properties = entry.find(f"{_META}properties")
    if properties is None:
        properties = entry.find(f"{_ATOM}content/{_META}properties")
    texts = {
        element.tag.removeprefix(_DATA): (element.text or "").strip()
        for element in (properties if properties is not None else ())
    }
    content = entry.find(f"{_ATOM}content")
    name = texts.get("Id") or (entry.findtext(f"{_ATOM}title") or "").strip()
    authors = texts.get("Authors") or ", ".join((author.text or "") for author in entry.iter(f"{_ATOM}name"))
    return Offer(
        ExtensionInfo(
            id=name,
            title=texts.get("Title") or name,
            version=texts.get("Version", ""),
            summary=texts.get("Summary") or (entry.findtext(f"{_ATOM}summary") or "").strip() or None,
            description=texts.get("Description") or None,
            project_url=texts.get("ProjectUrl") or None,
            license_url=texts.get("LicenseUrl") or None,
            icon_url=texts.get("IconUrl") or DEFAULT_ICON,
            authors=authors_of(authors),
        ),
        _joined(base, content.get("src", "") if content is not None else ""),
    )


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _joined(base: str, address: str) -> str:
    """Resolve an address of a feed; one that is none stays as it is and is refused where it is used."""
    try:
        return urljoin(base, address)
    except ValueError:
        return address


def _usable(offers: Iterable[Offer], *, prerelease: bool) -> Iterable[Offer]:
    """Leave out what has no proper id and version, and what is not released unless asked for."""
    for offer in offers:
        try:
            package_id(offer.info.id)
            version = PackageVersion(offer.info.version)
        except Invalid:
            continue
        if prerelease or not version.is_prerelease:
            yield offer


def _version(offer: Offer) -> PackageVersion:
    try:
        return PackageVersion(offer.info.version)
    except Invalid:
        return PackageVersion("0")


def _with_version(info: ExtensionInfo, version: str) -> ExtensionInfo:
    return replace(info, version=version)


def _odata(text: str) -> str:
    return quote(re.sub("'", "''", text), safe="'")


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None
