"""`<system.webServer><staticContent>`: types and caching of files (IIS reference §5.3)."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from homeport.webconfig.document import Element
from homeport.webconfig.merging import merged
from homeport.webconfig.mime_types import DEFAULT_MIME_TYPES
from homeport.webconfig.reading import Fault, boolean, required_text, seconds, text, word
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full

_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]+(?:\s*;\s*[ -~]*)?")

_LONGEST_EXTENSION = 40
"""Bytes that the server's table of types takes."""

TABLE = ElementRow(
    name="staticContent",
    attributes=(
        AttributeRow(name="defaultDocFooter", support=Support.ABSENT),
        AttributeRow(name="enableDocFooter", support=Support.ABSENT),
        AttributeRow(name="isDocFooterFileName", support=Support.ABSENT),
    ),
    children=(
        ElementRow(
            name="mimeMap",
            support=Support.PARTIAL,
            note="An entry may repeat one of the platform's own list, to which IIS 10 answers 500.19.",
            attributes=full("fileExtension", "mimeType"),
        ),
        ElementRow(name="remove", attributes=full("fileExtension")),
        ElementRow(name="clear"),
        ElementRow(
            name="clientCache",
            attributes=(
                *full("cacheControlMode", "cacheControlMaxAge", "httpExpires", "cacheControlCustom"),
                AttributeRow(
                    name="setEtag",
                    support=Support.PARTIAL,
                    note="The tag's text is not made as IIS makes it.",
                ),
            ),
        ),
    ),
)


class CacheControlMode(StrEnum):
    """`cacheControlMode` of `<clientCache>`."""

    NO_CONTROL = "NoControl"
    DISABLE_CACHE = "DisableCache"
    USE_MAX_AGE = "UseMaxAge"
    USE_EXPIRES = "UseExpires"


DEFAULT_TYPES: tuple[tuple[str, str], ...] = tuple(
    (f".{extension}", kind) for kind, extensions in DEFAULT_MIME_TYPES.items() for extension in extensions
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticContent:
    """How files are sent. `mime_types` are extensions (lower case, with dot) and types.

    The extension `.` stands for names without one, `.*` for all that have no other entry. A file without an entry
    is not served (404.3). `max_age` is in seconds.
    """

    mime_types: tuple[tuple[str, str], ...] = DEFAULT_TYPES
    cache_control_mode: CacheControlMode = CacheControlMode.NO_CONTROL
    max_age: int = 86_400
    expires: str = ""
    cache_control_custom: str = ""
    etag: bool = True

    @property
    def cache_headers(self) -> tuple[tuple[str, str], ...]:
        """Give the headers of successful answers."""
        directives = [self.cache_control_custom] if self.cache_control_custom else []
        if self.cache_control_mode is CacheControlMode.DISABLE_CACHE:
            directives.append("no-cache")
        elif self.cache_control_mode is CacheControlMode.USE_MAX_AGE:
            directives.append(f"max-age={self.max_age}")
        headers = [("Cache-Control", ",".join(directives))] if directives else []
        if self.cache_control_mode is CacheControlMode.USE_EXPIRES and self.expires:
            headers.append(("Expires", self.expires))
        return tuple(headers)


def apply_static_content(section: Element, inherited: StaticContent) -> StaticContent:
    """Apply one section to what it inherits. Raises `Fault`."""
    own = replace(section, children=tuple(child for child in section.children if child.name != "clientCache"))
    types = merged(
        own,
        inherited.mime_types,
        make=_mime_map,
        key=lambda entry: entry[0],
        removed=lambda element: _extension(element),
        add="mimeMap",
        replaceable=frozenset(DEFAULT_TYPES),
    )
    result = replace(inherited, mime_types=types)
    for cache in section.named("clientCache"):
        result = replace(
            result,
            cache_control_mode=word(cache, "cacheControlMode", default=result.cache_control_mode),
            max_age=seconds(cache, "cacheControlMaxAge", default=result.max_age),
            expires=text(cache, "httpExpires", default=result.expires),
            cache_control_custom=text(
                cache, "cacheControlCustom", default=result.cache_control_custom
            ).strip(),
            etag=boolean(cache, "setEtag", default=result.etag),
        )
    return result


def _mime_map(element: Element) -> tuple[str, str]:
    kind = required_text(element, "mimeType").strip()
    if not _TYPE.fullmatch(kind):
        raise Fault("invalid-value", f"'{kind}' is no MIME type.", line=element.line)
    return _extension(element), kind


def _extension(element: Element) -> str:
    extension = required_text(element, "fileExtension", most=_LONGEST_EXTENSION).strip().lower()
    return extension if extension.startswith(".") else f".{extension}"
